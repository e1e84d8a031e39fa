// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// GLM 4 (the first release in transformers): pairs of neighbours in the first half of each head are
// rotated, biases on query, key and value, one tensor for gate and up.
#include "lib/families/blocks/decoder_config.h"

namespace qeff::families {

Result<ir::Graph> Glm(const FamilyInputs& inputs) {
  QEFF_ASSIGN_OR_RETURN(DecoderFacts facts,
                        ReadDecoderFacts(inputs, {.vocab_size = 151552,
                                                  .max_position_embeddings = 131072,
                                                  .num_key_value_heads = 2,
                                                  .head_dim = 128,
                                                  .norm_epsilon = 1.5625e-07,
                                                  .partial_rotary_factor = 0.5}));
  facts.attention.rotation_is_interleaved = true;
  QEFF_ASSIGN_OR_RETURN(facts.attention.query_key_value_have_bias,
                        inputs.config.BoolOr("attention_bias", true));
  facts.mlp.names.gate_up = "gate_up_proj";
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
