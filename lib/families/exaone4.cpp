// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// EXAONE 4: norms after attention and MLP instead of before, query and key normalized per head.
// With a sliding window, three of four layers have it, and only these are rotated; without, all
// are.
#include "lib/families/blocks/decoder_config.h"

namespace qeff::families {

Result<ir::Graph> Exaone4(const FamilyInputs& inputs) {
  QEFF_ASSIGN_OR_RETURN(DecoderFacts facts,
                        ReadDecoderFacts(inputs, {.vocab_size = 102400,
                                                  .max_position_embeddings = 2048,
                                                  .num_key_value_heads = 32,
                                                  .norm_epsilon = 1e-5}));
  facts.names.attention_norm.clear();
  facts.names.attention_post_norm = "post_attention_layernorm";
  facts.names.mlp_norm.clear();
  facts.names.mlp_post_norm = "post_feedforward_layernorm";
  facts.attention.query_key_norm = QueryKeyNorm::kEachHead;
  QEFF_RETURN_IF_ERROR(ReadWindows(
      inputs.config, {.default_sliding_window = 4096, .default_sliding_window_pattern = 4}, facts));
  const bool has_window =
      inputs.config.Has("sliding_window") || !inputs.config.Contains("sliding_window");
  for (LayerFacts& layer : facts.layers)
    layer.rotary = !has_window || layer.window_tokens > 0 ? 0 : -1;
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
