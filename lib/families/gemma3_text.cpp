// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Gemma 3, text: as Gemma 2 without soft cap of the scores, with query and key normalized per head,
// and a window on five of six layers. Layers with a window have rotary frequencies of their own,
// which the scaling of a long context does not concern. EmbeddingGemma's tokens also see later
// ones: half of the window's width then reaches each way.
#include <array>
#include <cmath>

#include "lib/families/blocks/decoder_config.h"

namespace qeff::families {

namespace {

/// Reads `use_bidirectional_attention`. transformers counts the token itself to both halves of the
/// window.
Status ReadReach(const FamilyInputs& inputs, DecoderFacts& facts) {
  constexpr const char* kKey = "use_bidirectional_attention";
  QEFF_ASSIGN_OR_RETURN(facts.attention.is_bidirectional, inputs.config.BoolOr(kKey, false));
  if (!facts.attention.is_bidirectional) return Status::Ok();
  if (inputs.task == Task::kCausalLm) {
    return inputs.config.ErrorAt(ErrorCode::kUnsupported, kKey,
                                 "text cannot be generated with attention to later tokens",
                                 {"models with this key are embedders and classifiers"});
  }
  for (LayerFacts& layer : facts.layers) {
    if (layer.window_tokens > 0) layer.window_tokens = layer.window_tokens / 2 + 1;
  }
  return Status::Ok();
}

}  // namespace

Result<ir::Graph> Gemma3Text(const FamilyInputs& inputs) {
  const checkpoint::ConfigReader& config = inputs.config;
  const DecoderDefaults defaults = {.vocab_size = 262208,
                                    .max_position_embeddings = 131072,
                                    .num_key_value_heads = 4,
                                    .head_dim = 256,
                                    .activation = "gelu_pytorch_tanh",
                                    .tie_word_embeddings = true,
                                    .has_rotary = false,
                                    .keys = {.activation = "hidden_activation"}};
  QEFF_ASSIGN_OR_RETURN(DecoderFacts facts, ReadDecoderFacts(inputs, defaults));
  config.MarkRead("hidden_act");  // files hold both; transformers follows hidden_activation
  // Kept from Gemma 2 in the files; no version of transformers applies it here.
  config.MarkRead("attn_logit_softcapping");
  facts.norm.weight_offset = 1;
  facts.embedding_scale = std::sqrt(static_cast<float>(facts.hidden_size));
  facts.names.attention_post_norm = "post_attention_layernorm";
  facts.names.mlp_norm = "pre_feedforward_layernorm";
  facts.names.mlp_post_norm = "post_feedforward_layernorm";
  facts.attention.query_key_norm = QueryKeyNorm::kEachHead;
  facts.attention.head_norm.weight_offset = 1;
  QEFF_RETURN_IF_ERROR(ReadAttentionBias(config, facts));
  QEFF_ASSIGN_OR_RETURN(const double scalar,
                        config.FloatOr("query_pre_attn_scalar", 256, checkpoint::kPositiveFloat));
  facts.attention.scale = static_cast<float>(1 / std::sqrt(scalar));
  QEFF_ASSIGN_OR_RETURN(facts.logits_softcap,
                        ReadSoftcap(config, "final_logit_softcapping", std::nullopt));
  QEFF_RETURN_IF_ERROR(ReadWindows(
      config, {.default_sliding_window = 4096, .default_sliding_window_pattern = 6}, facts));

  QEFF_RETURN_IF_ERROR(ReadReach(inputs, facts));

  QEFF_ASSIGN_OR_RETURN(const int64_t max_positions, ReadMaxPositions(config, defaults));
  const checkpoint::RopeOptions everything = {.default_theta = 1e6, .layer_type = "full_attention"};
  const checkpoint::RopeOptions in_window = {.default_theta = 10000,
                                             .layer_type = "sliding_attention",
                                             .theta_key = "rope_local_base_freq",
                                             .uses_rope_scaling = false};
  // A config may leave out the frequencies of a kind that no layer is of.
  std::array<int, 2> rotary_of_kind = {-1, -1};
  for (LayerFacts& layer : facts.layers) {
    const bool slides = layer.window_tokens > 0;
    int& index = rotary_of_kind[slides ? 1 : 0];
    if (index < 0) {
      QEFF_ASSIGN_OR_RETURN(RotaryFacts rotary,
                            ReadRotary(inputs, slides ? in_window : everything,
                                       facts.attention.head_size, max_positions));
      index = static_cast<int>(facts.rotaries.size());
      facts.rotaries.push_back(std::move(rotary));
    }
    layer.rotary = index;
  }
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
