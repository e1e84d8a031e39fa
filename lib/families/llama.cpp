// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Llama (1 to 3.2, TinyLlama, SmolLM and others): the shared decoder, with biases if the config
// says so.
#include "lib/families/blocks/decoder_config.h"

namespace qeff::families {

Result<ir::Graph> Llama(const FamilyInputs& inputs) {
  QEFF_ASSIGN_OR_RETURN(
      DecoderFacts facts,
      ReadDecoderFacts(inputs, {.vocab_size = 32000, .max_position_embeddings = 2048}));
  QEFF_RETURN_IF_ERROR(ReadAttentionBias(inputs.config, facts));
  QEFF_ASSIGN_OR_RETURN(facts.mlp.has_bias, inputs.config.BoolOr("mlp_bias", false));
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
