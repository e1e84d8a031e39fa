// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// ERNIE 4.5 (dense): Llama with pairs of neighbours rotated, a head size of its own, and biases on
// all linear layers if the config says so.
#include "lib/families/blocks/decoder_config.h"

namespace qeff::families {

Result<ir::Graph> Ernie45(const FamilyInputs& inputs) {
  QEFF_ASSIGN_OR_RETURN(DecoderFacts facts,
                        ReadDecoderFacts(inputs, {.vocab_size = 103424,
                                                  .max_position_embeddings = 131072,
                                                  .num_key_value_heads = 2,
                                                  .head_dim = 128,
                                                  .norm_epsilon = 1e-5,
                                                  .rope_theta = 500000,
                                                  .tie_word_embeddings = true}));
  facts.attention.rotation_is_interleaved = true;
  QEFF_ASSIGN_OR_RETURN(const bool has_bias, inputs.config.BoolOr("use_bias", false));
  facts.attention.query_key_value_have_bias = has_bias;
  facts.attention.output_has_bias = has_bias;
  facts.mlp.has_bias = has_bias;
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
