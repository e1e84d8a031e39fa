// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// ModernBERT: norms first (none before the first attention), rotated positions, a gated
// feed-forward block, no biases unless the config says so. Two of three layers see half a window
// each way and rotate by frequencies of their own.
#include <array>

#include "lib/families/blocks/decoder_blocks.h"
#include "lib/families/blocks/decoder_config.h"
#include "lib/families/blocks/encoder_config.h"

namespace qeff::families {
namespace {

void SetNames(EncoderFacts& facts, DecoderFacts& parts) {
  facts.names = {.prefix = "model.",
                 .word_embedding = "embeddings.tok_embeddings",
                 .position_embedding = "",
                 .token_type_embedding = "",
                 .embedding_norm = "embeddings.norm",
                 .final_norm = "final_norm",
                 .pooler = "",
                 .attention_norm = "attn_norm",
                 .mlp_norm = "mlp_norm"};
  for (size_t i = 0; i < facts.layers.size(); ++i)
    facts.layers[i].name = fmt::format("layers.{}.", i);
  parts.attention.names = {.prefix = "attn.", .fused = {.name = "Wqkv"}, .output = "Wo"};
  parts.mlp.names = {.gate_up = "Wi", .down = "Wo"};
}

/// Which layers see a window: `layer_types`, else all but every n-th from the first one on.
Result<std::vector<bool>> ReadSlidingLayers(const checkpoint::ConfigReader& config,
                                            size_t num_layers) {
  QEFF_ASSIGN_OR_RETURN(const int64_t interval,
                        config.IntOr("global_attn_every_n_layers", 3, checkpoint::kPositive));
  QEFF_ASSIGN_OR_RETURN(
      const std::vector<std::string> types,
      ReadLayerTypes(config, {"full_attention", "sliding_attention"}, num_layers));
  std::vector<bool> slides;
  for (size_t i = 0; i < num_layers; ++i) {
    slides.push_back(types.empty() ? static_cast<int64_t>(i) % interval != 0
                                   : types[i] == "sliding_attention");
  }
  return slides;
}

Status ReadReach(const FamilyInputs& inputs, const EncoderFacts& facts, DecoderFacts& parts) {
  const checkpoint::ConfigReader& config = inputs.config;
  QEFF_ASSIGN_OR_RETURN(const std::vector<bool> slides,
                        ReadSlidingLayers(config, facts.layers.size()));
  QEFF_ASSIGN_OR_RETURN(const int64_t width,
                        config.IntOr("local_attention", 128, checkpoint::kPositive));
  const checkpoint::RopeOptions everything = {
      .default_theta = 160000, .layer_type = "full_attention", .theta_key = "global_rope_theta"};
  const checkpoint::RopeOptions in_window = {
      .default_theta = 10000, .layer_type = "sliding_attention", .theta_key = "local_rope_theta"};
  std::array<int, 2> rotary_of_kind = {-1, -1};
  for (size_t i = 0; i < slides.size(); ++i) {
    int& index = rotary_of_kind[slides[i] ? 1 : 0];
    if (index < 0) {
      QEFF_ASSIGN_OR_RETURN(RotaryFacts rotary,
                            ReadRotary(inputs, slides[i] ? in_window : everything,
                                       parts.attention.head_size, facts.position_rows));
      index = static_cast<int>(parts.rotaries.size());
      parts.rotaries.push_back(std::move(rotary));
    }
    parts.layers[i].rotary = index;
    if (slides[i]) parts.layers[i].window_tokens = width / 2 + 1;
  }
  for (const char* theta : {"global_rope_theta", "local_rope_theta"}) config.MarkRead(theta);
  return Status::Ok();
}

Status ReadHeads(const checkpoint::ConfigReader& config, EncoderFacts& facts) {
  HeadLayer dense = {.name = "head.dense", .size = facts.hidden_size, .norm = "head.norm"};
  QEFF_ASSIGN_OR_RETURN(dense.activation, ReadActivation(config, "classifier_activation", "gelu"));
  QEFF_ASSIGN_OR_RETURN(dense.has_bias, config.BoolOr("classifier_bias", false));
  QEFF_ASSIGN_OR_RETURN(const int64_t labels, ReadNumLabels(config));
  facts.heads.token = {dense, {.name = "classifier", .size = labels}};
  facts.heads.sequence = facts.heads.token;
  QEFF_ASSIGN_OR_RETURN(const std::string pooling, config.StringOr("classifier_pooling", "cls"));
  if (pooling != "cls" && pooling != "mean") {
    return config.ErrorAt(ErrorCode::kUnsupported, "classifier_pooling",
                          fmt::format("expected 'cls' or 'mean', got '{}'", pooling));
  }
  facts.heads.averages_tokens = pooling == "mean";
  facts.heads.masked_lm.layers = {dense};
  facts.heads.masked_lm.decoder = "decoder";
  QEFF_ASSIGN_OR_RETURN(facts.heads.masked_lm.has_bias, config.BoolOr("decoder_bias", true));
  return Status::Ok();
}

}  // namespace

Result<ir::Graph> Modernbert(const FamilyInputs& inputs) {
  const checkpoint::ConfigReader& config = inputs.config;
  QEFF_ASSIGN_OR_RETURN(EncoderFacts facts,
                        ReadEncoderFacts(inputs, {.vocab_size = 50368,
                                                  .num_hidden_layers = 22,
                                                  .intermediate_size = 1152,
                                                  .max_position_embeddings = 8192,
                                                  .type_vocab_size = 0,
                                                  .norm_epsilon = 1e-5,
                                                  .pad_token_id = 50283,
                                                  .type_vocab_size_key = "",
                                                  .norm_epsilon_key = "norm_eps",
                                                  .activation_key = "hidden_activation"}));
  config.MarkRead("layer_norm_eps");  // files hold both; transformers follows norm_eps
  facts.positions = PositionRule::kNone;
  facts.norm_comes_first = true;
  QEFF_ASSIGN_OR_RETURN(facts.norm.has_bias, config.BoolOr("norm_bias", false));
  if (!facts.layers.empty()) facts.layers[0].has_attention_norm = false;
  DecoderFacts parts = DecoderPartsOf(facts);
  SetNames(facts, parts);
  QEFF_RETURN_IF_ERROR(ReadAttentionBias(config, parts));
  QEFF_ASSIGN_OR_RETURN(parts.mlp.has_bias, config.BoolOr("mlp_bias", false));
  QEFF_RETURN_IF_ERROR(ReadReach(inputs, facts, parts));
  QEFF_RETURN_IF_ERROR(ReadHeads(config, facts));
  UseDecoderBlocks(std::move(parts), facts);
  return BuildEncoder(facts, inputs);
}

}  // namespace qeff::families
