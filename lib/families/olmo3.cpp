// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// OLMo 3: as OLMo 2, with a window on three of four layers. Whether the scaling of the rotation
// concerns layers with a window depends on who wrote the config: transformers 4 and the published
// models (`rope_scaling`) leave them alone, transformers 5 (`rope_parameters`) scales all layers.
#include "lib/families/blocks/decoder_config.h"

namespace qeff::families {

Result<ir::Graph> Olmo3(const FamilyInputs& inputs) {
  const checkpoint::ConfigReader& config = inputs.config;
  const DecoderDefaults defaults = {
      .vocab_size = 50304, .max_position_embeddings = 2048, .norm_epsilon = 1e-5};
  QEFF_ASSIGN_OR_RETURN(DecoderFacts facts, ReadDecoderFacts(inputs, defaults));
  facts.names.attention_norm.clear();
  facts.names.attention_post_norm = "post_attention_layernorm";
  facts.names.mlp_norm.clear();
  facts.names.mlp_post_norm = "post_feedforward_layernorm";
  facts.attention.query_key_norm = QueryKeyNorm::kAllHeads;
  QEFF_RETURN_IF_ERROR(ReadAttentionBias(config, facts));
  QEFF_RETURN_IF_ERROR(ReadWindows(
      config, {.default_sliding_window = 4096, .default_sliding_window_pattern = 4}, facts));
  if (config.IsObject("rope_scaling")) {
    QEFF_ASSIGN_OR_RETURN(const int64_t max_positions, ReadMaxPositions(config, defaults));
    QEFF_ASSIGN_OR_RETURN(
        RotaryFacts unscaled,
        ReadRotary(inputs, {.uses_rope_scaling = false}, facts.attention.head_size, max_positions));
    facts.rotaries.push_back(std::move(unscaled));
    for (LayerFacts& layer : facts.layers) layer.rotary = layer.window_tokens > 0 ? 1 : 0;
  }
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
