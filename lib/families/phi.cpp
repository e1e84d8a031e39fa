// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Phi 1, 1.5 and 2: attention and MLP side by side over one LayerNorm, an MLP without gate, biases
// everywhere, and the first half of each head rotated unless the config says otherwise.
#include "lib/families/blocks/decoder_config.h"

namespace qeff::families {

Result<ir::Graph> Phi(const FamilyInputs& inputs) {
  QEFF_ASSIGN_OR_RETURN(DecoderFacts facts,
                        ReadDecoderFacts(inputs, {.vocab_size = 51200,
                                                  .max_position_embeddings = 2048,
                                                  .norm_epsilon = 1e-5,
                                                  .activation = "gelu_new",
                                                  .partial_rotary_factor = 0.5,
                                                  .keys = {.norm_epsilon = "layer_norm_eps"}}));
  facts.is_parallel = true;
  facts.head_has_bias = true;
  facts.norm.kind = NormKind::kLayer;
  facts.names.mlp_norm.clear();
  facts.names.final_norm = "final_layernorm";

  AttentionFacts& attention = facts.attention;
  attention.query_key_value_have_bias = true;
  attention.output_has_bias = true;
  attention.names.output = "dense";
  QEFF_ASSIGN_OR_RETURN(const bool has_head_norm, inputs.config.BoolOr("qk_layernorm", false));
  if (has_head_norm) attention.query_key_norm = QueryKeyNorm::kEachHead;
  attention.head_norm.kind = NormKind::kLayer;
  attention.names.query_norm = "q_layernorm";
  attention.names.key_norm = "k_layernorm";

  facts.mlp.is_gated = false;
  facts.mlp.has_bias = true;
  facts.mlp.names.up = "fc1";
  facts.mlp.names.down = "fc2";
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
