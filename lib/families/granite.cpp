// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Granite 3: Llama with factors on embeddings, scores, residual updates and logits.
#include "lib/families/blocks/decoder_config.h"

namespace qeff::families {

Result<ir::Graph> Granite(const FamilyInputs& inputs) {
  const checkpoint::ConfigReader& config = inputs.config;
  QEFF_ASSIGN_OR_RETURN(
      DecoderFacts facts,
      ReadDecoderFacts(inputs, {.vocab_size = 32000, .max_position_embeddings = 2048}));
  QEFF_RETURN_IF_ERROR(ReadAttentionBias(config, facts));
  QEFF_ASSIGN_OR_RETURN(facts.mlp.has_bias, config.BoolOr("mlp_bias", false));
  QEFF_RETURN_IF_ERROR(ReadMultipliers(config, facts));
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
