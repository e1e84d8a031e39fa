// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// XLM-RoBERTa (multilingual E5, BGE-M3 and its rerankers): RoBERTa with another vocabulary.
#include "lib/families/blocks/encoder_config.h"

namespace qeff::families {

Result<ir::Graph> XlmRoberta(const FamilyInputs& inputs) {
  QEFF_ASSIGN_OR_RETURN(EncoderFacts facts, ReadEncoderFacts(inputs, {.pad_token_id = 1}));
  facts.names.prefix = "roberta.";
  facts.positions = PositionRule::kCountOfTokens;
  QEFF_RETURN_IF_ERROR(ReadRobertaHeads(inputs.config, facts));
  return BuildEncoder(facts, inputs);
}

}  // namespace qeff::families
