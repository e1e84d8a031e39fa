// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// SmolLM 3: Llama whose every fourth layer is not rotated; these have the sliding window if the
// config switches it on.
#include "lib/families/blocks/decoder_config.h"

namespace qeff::families {

Result<ir::Graph> Smollm3(const FamilyInputs& inputs) {
  const checkpoint::ConfigReader& config = inputs.config;
  QEFF_ASSIGN_OR_RETURN(DecoderFacts facts,
                        ReadDecoderFacts(inputs, {.vocab_size = 128256,
                                                  .max_position_embeddings = 32768,
                                                  .num_key_value_heads = 4,
                                                  .rope_theta = 2e6,
                                                  .tie_word_embeddings = true}));
  QEFF_RETURN_IF_ERROR(ReadAttentionBias(config, facts));
  QEFF_ASSIGN_OR_RETURN(facts.mlp.has_bias, config.BoolOr("mlp_bias", false));
  QEFF_RETURN_IF_ERROR(ReadUnrotatedLayers(config, facts));
  QEFF_ASSIGN_OR_RETURN(const auto window,
                        config.OptionalInt("sliding_window", checkpoint::kPositive));
  QEFF_ASSIGN_OR_RETURN(const bool use_window, config.BoolOr("use_sliding_window", false));
  QEFF_ASSIGN_OR_RETURN(
      const std::vector<std::string> types,
      ReadLayerTypes(config, {"full_attention", "sliding_attention"}, facts.layers.size()));
  for (size_t i = 0; i < facts.layers.size(); ++i) {
    LayerFacts& layer = facts.layers[i];
    const bool slides =
        types.empty() ? use_window && window && layer.rotary < 0 : types[i] == "sliding_attention";
    if (slides && !window) {
      return config.ErrorAt(
          ErrorCode::kInvalidInput, "sliding_window",
          fmt::format("layer {} is of type sliding_attention, but there is no window", i));
    }
    if (slides) layer.window_tokens = *window;
  }
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
