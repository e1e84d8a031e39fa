// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The encoder of T5 (sentence-t5, GTR, the text encoders of image models): RMS norms first, scores
// that are not scaled, and a bias by distance that the first layer's table gives to all layers. Of
// checkpoints of the whole model the decoder is left out.
#include "lib/families/blocks/decoder_blocks.h"
#include "lib/families/blocks/decoder_config.h"
#include "lib/families/blocks/encoder_config.h"
#include "lib/families/blocks/relative_position.h"

namespace qeff::families {
namespace {

using checkpoint::ConfigReader;

void SetNames(const WeightTable& weights, EncoderFacts& facts, DecoderFacts& parts) {
  const bool has_shared = weights.HasEnding("shared.weight");
  facts.names = {.prefix = "transformer.",
                 .word_embedding = has_shared ? "shared" : "encoder.embed_tokens",
                 .position_embedding = "",
                 .token_type_embedding = "",
                 .embedding_norm = "",
                 .final_norm = "encoder.final_layer_norm",
                 .pooler = "",
                 .attention_norm = "layer.0.layer_norm",
                 .mlp_norm = "layer.1.layer_norm"};
  for (size_t i = 0; i < facts.layers.size(); ++i)
    facts.layers[i].name = fmt::format("encoder.block.{}.", i);
  parts.attention.names = {
      .prefix = "layer.0.SelfAttention.", .query = "q", .key = "k", .value = "v", .output = "o"};
  parts.mlp.names = {.prefix = "layer.1.DenseReluDense.",
                     .gate = "wi_0",
                     .up = parts.mlp.is_gated ? "wi_1" : "wi",
                     .down = "wo"};
}

/// `feed_forward_proj` is "<activation>" or "gated-<activation>"; "gated-gelu" means gelu_new.
/// `dense_act_fn` and `is_gated_act`, which later files have, win.
Status ReadFeedForward(const ConfigReader& config, DecoderFacts& parts) {
  QEFF_ASSIGN_OR_RETURN(std::string kind, config.StringOr("feed_forward_proj", "relu"));
  constexpr std::string_view kGated = "gated-";
  const bool is_gated = kind.starts_with(kGated);
  if (is_gated) kind.erase(0, kGated.size());
  if (is_gated && kind == "gelu") kind = "gelu_new";
  QEFF_ASSIGN_OR_RETURN(parts.mlp.is_gated, config.BoolOr("is_gated_act", is_gated));
  QEFF_ASSIGN_OR_RETURN(parts.mlp.activation, ReadActivation(config, "dense_act_fn", kind));
  return Status::Ok();
}

Result<EncoderBlock> ReadBias(const ConfigReader& config, int64_t heads) {
  constexpr checkpoint::IntRange kBuckets{.minimum = 4, .maximum = 1 << 16};
  constexpr checkpoint::IntRange kDistance{.minimum = 2, .maximum = 1 << 16};
  QEFF_ASSIGN_OR_RETURN(const int64_t buckets,
                        config.IntOr("relative_attention_num_buckets", 32, kBuckets));
  QEFF_ASSIGN_OR_RETURN(const int64_t distance,
                        config.IntOr("relative_attention_max_distance", 128, kDistance));
  if (distance <= buckets / 4) {
    return config.ErrorAt(
        ErrorCode::kInvalidInput, "relative_attention_max_distance",
        fmt::format("expected more than a quarter of relative_attention_num_buckets ({}), got {}",
                    buckets, distance));
  }
  return EncoderBlock([=](const EncoderContext& context, ir::Value* x) {
    for (const char* part : {"decoder.", "lm_head.", "encoder.embed_tokens."})
      context.builder.IgnorePrefix(context.prefix + part);
    ir::Value* table = context.builder.Weight(
        context.name + "layer.0.SelfAttention.relative_attention_bias.weight", {buckets, heads});
    context.shared[kSharedBias] =
        AddDistanceBias(context.builder, "/encoder/position_bias", context.input_ids, table,
                        LogarithmicDistanceRows(buckets, distance));
    return x;
  });
}

}  // namespace

Result<ir::Graph> T5(const FamilyInputs& inputs) {
  const ConfigReader& config = inputs.config;
  for (const char* key :
       {"is_encoder_decoder", "n_positions", "num_decoder_layers", "scale_decoder_outputs"})
    config.MarkRead(key);
  QEFF_ASSIGN_OR_RETURN(
      const int64_t hidden_size,
      config.IntOr(FirstKey(config, {"hidden_size", "d_model"}), 512, checkpoint::kPositive));
  const std::string heads_key = FirstKey(config, {"num_attention_heads", "num_heads"});
  QEFF_ASSIGN_OR_RETURN(const int64_t heads,
                        config.IntOr(heads_key, 8, {.minimum = 1, .maximum = 1 << 16}));
  // Heads have a size of their own: hidden_size need not be a multiple of their number.
  QEFF_ASSIGN_OR_RETURN(EncoderFacts facts,
                        ReadEncoderFacts(inputs, {.vocab_size = 32128,
                                                  .hidden_size = hidden_size,
                                                  .num_hidden_layers = 6,
                                                  .num_attention_heads = 1,
                                                  .intermediate_size = 2048,
                                                  .type_vocab_size = 0,
                                                  .norm_epsilon = 1e-6,
                                                  .hidden_size_key = "",
                                                  .num_hidden_layers_key = FirstKey(
                                                      config, {"num_hidden_layers", "num_layers"}),
                                                  .num_attention_heads_key = "",
                                                  .intermediate_size_key = "d_ff",
                                                  .type_vocab_size_key = "",
                                                  .norm_epsilon_key = "layer_norm_epsilon",
                                                  .activation_key = ""}));
  facts.positions = PositionRule::kNone;
  facts.norm.kind = NormKind::kRms;
  facts.norm_comes_first = true;
  DecoderFacts parts = DecoderPartsOf(facts);
  parts.attention.num_heads = parts.attention.num_kv_heads = heads;
  QEFF_ASSIGN_OR_RETURN(
      parts.attention.head_size,
      config.IntOr(FirstKey(config, {"head_dim", "d_kv"}), 64, checkpoint::kPositive));
  parts.attention.scale = 1;
  QEFF_RETURN_IF_ERROR(ReadFeedForward(config, parts));
  SetNames(inputs.weights, facts, parts);
  QEFF_ASSIGN_OR_RETURN(const int64_t labels, ReadNumLabels(config));
  facts.heads.token = {{.name = "classifier", .size = labels}};
  if (!facts.layers.empty()) {
    QEFF_ASSIGN_OR_RETURN(facts.prepare, ReadBias(config, heads));
  }
  UseDecoderBlocks(std::move(parts), facts);
  return BuildEncoder(facts, inputs);
}

}  // namespace qeff::families
