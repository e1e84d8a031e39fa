// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Cohere Command R7B and A: as Cohere, with a window on three of four layers; only these are
// rotated.
#include "lib/families/blocks/decoder_config.h"

namespace qeff::families {

Result<ir::Graph> Cohere2(const FamilyInputs& inputs) {
  QEFF_ASSIGN_OR_RETURN(DecoderFacts facts,
                        ReadDecoderFacts(inputs, {.vocab_size = 256000,
                                                  .max_position_embeddings = 8192,
                                                  .norm_epsilon = 1e-5,
                                                  .rope_theta = 10000,
                                                  .tie_word_embeddings = true,
                                                  .keys = {.norm_epsilon = "layer_norm_eps"}}));
  facts.is_parallel = true;
  facts.names.mlp_norm.clear();
  facts.norm.kind = NormKind::kLayer;
  facts.norm.has_bias = false;
  facts.attention.rotation_is_interleaved = true;
  QEFF_RETURN_IF_ERROR(ReadAttentionBias(inputs.config, facts));
  QEFF_ASSIGN_OR_RETURN(const double logits_scale, inputs.config.FloatOr("logit_scale", 0.0625));
  facts.logits_scale = static_cast<float>(logits_scale);
  QEFF_RETURN_IF_ERROR(ReadWindows(
      inputs.config, {.default_sliding_window = 4096, .default_sliding_window_pattern = 4}, facts));
  for (LayerFacts& layer : facts.layers) layer.rotary = layer.window_tokens > 0 ? 0 : -1;
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
