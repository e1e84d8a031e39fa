// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// GLM 4 0414: as GLM, with a norm after attention and MLP, too.
#include "lib/families/blocks/decoder_config.h"

namespace qeff::families {

Result<ir::Graph> Glm4(const FamilyInputs& inputs) {
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
  facts.names.attention_post_norm = "post_self_attn_layernorm";
  facts.names.mlp_post_norm = "post_mlp_layernorm";
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
