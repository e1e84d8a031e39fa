// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// StableLM 2 and 3B: LayerNorm, a quarter of each head rotated unless the config says otherwise. If
// the config says so: biases on query, key and value, attention and MLP side by side over one norm,
// and a LayerNorm without bias for each head of query and key.
#include "lib/families/blocks/decoder_config.h"

namespace qeff::families {

Result<ir::Graph> Stablelm(const FamilyInputs& inputs) {
  const checkpoint::ConfigReader& config = inputs.config;
  QEFF_ASSIGN_OR_RETURN(
      DecoderFacts facts,
      ReadDecoderFacts(inputs, {.vocab_size = 50304,
                                .max_position_embeddings = 4096,
                                .num_key_value_heads = 32,
                                .norm_epsilon = 1e-5,
                                .partial_rotary_factor = 0.25,
                                .keys = {.head_dim = "", .norm_epsilon = "layer_norm_eps"}}));
  facts.norm.kind = NormKind::kLayer;
  QEFF_ASSIGN_OR_RETURN(facts.attention.query_key_value_have_bias,
                        config.BoolOr("use_qkv_bias", false));
  QEFF_ASSIGN_OR_RETURN(facts.is_parallel, config.BoolOr("use_parallel_residual", false));
  if (facts.is_parallel) facts.names.mlp_norm.clear();
  QEFF_ASSIGN_OR_RETURN(const bool has_head_norm, config.BoolOr("qk_layernorm", false));
  if (has_head_norm) facts.attention.query_key_norm = QueryKeyNorm::kEachHeadOwnWeight;
  facts.attention.head_norm.kind = NormKind::kLayer;
  facts.attention.head_norm.has_bias = false;
  facts.attention.names.query_norm = "q_layernorm";
  facts.attention.names.key_norm = "k_layernorm";
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
