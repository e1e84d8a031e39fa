// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// RoBERTa (CodeBERT, all-distilroberta and others): BERT whose positions count the tokens that are
// not padding, from the row after padding's on; its classifier has a dense layer of its own.
#include "lib/families/blocks/encoder_config.h"

namespace qeff::families {

Result<ir::Graph> Roberta(const FamilyInputs& inputs) {
  QEFF_ASSIGN_OR_RETURN(EncoderFacts facts,
                        ReadEncoderFacts(inputs, {.vocab_size = 50265, .pad_token_id = 1}));
  facts.names.prefix = "roberta.";
  facts.positions = PositionRule::kCountOfTokens;
  QEFF_RETURN_IF_ERROR(ReadRobertaHeads(inputs.config, facts));
  return BuildEncoder(facts, inputs);
}

}  // namespace qeff::families
