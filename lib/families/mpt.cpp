// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// MPT: ALiBi, no biases at all, optionally a clamp of query, key and value. Settings of the
// original code that transformers ignores are refused where they would change the results.
#include "lib/families/blocks/decoder_config.h"

namespace qeff::families {
namespace {

using checkpoint::ConfigReader;

constexpr std::string_view kIgnored =
    "the model's original code reads the key, transformers ignores it";

Status RequireTrue(const ConfigReader& config, std::string_view key) {
  QEFF_ASSIGN_OR_RETURN(const bool value, config.BoolOr(key, true));
  if (value) return Status::Ok();
  return config.ErrorAt(ErrorCode::kUnsupported, key, "only true is supported, got false",
                        {std::string(kIgnored)});
}

Status RequireString(const ConfigReader& config, std::string_view key, std::string only) {
  QEFF_ASSIGN_OR_RETURN(const std::string value, config.StringOr(key, only));
  if (value == only) return Status::Ok();
  return config.ErrorAt(ErrorCode::kUnsupported, key,
                        fmt::format("only '{}' is supported, got '{}'", only, value),
                        {std::string(kIgnored)});
}

Status ReadAttention(const ConfigReader& config, AttentionFacts& attention) {
  QEFF_RETURN_IF_ERROR(RequireString(config, "attn_type", "multihead_attention"));
  QEFF_RETURN_IF_ERROR(RequireTrue(config, "alibi"));
  QEFF_RETURN_IF_ERROR(RefuseIfTrue(config, "qk_ln", "a norm of query and key"));
  QEFF_RETURN_IF_ERROR(RefuseIfTrue(config, "prefix_lm", "attention to later tokens"));
  config.MarkRead("attn_impl");
  config.MarkRead("attn_uses_sequence_id");  // several texts in one row, in training
  constexpr int64_t kBiasMax = 8;
  QEFF_ASSIGN_OR_RETURN(const int64_t bias_max, config.IntOr("alibi_bias_max", kBiasMax));
  if (bias_max != kBiasMax) {
    return config.ErrorAt(ErrorCode::kUnsupported, "alibi_bias_max",
                          fmt::format("only {} is supported, got {}", kBiasMax, bias_max),
                          {std::string(kIgnored)});
  }
  QEFF_ASSIGN_OR_RETURN(const double clip, config.FloatOr("clip_qkv", 0, {.minimum = 0}));
  attention.clip = static_cast<float>(clip);
  QEFF_ASSIGN_OR_RETURN(const auto scale, config.OptionalFloat("softmax_scale"));
  if (scale) attention.scale = static_cast<float>(*scale);
  return Status::Ok();
}

Status CheckIgnored(const ConfigReader& config) {
  QEFF_RETURN_IF_ERROR(RequireTrue(config, "no_bias"));
  if (config.Has("logit_scale")) {
    return config.ErrorAt(ErrorCode::kUnsupported, "logit_scale", "only null is supported",
                          {std::string(kIgnored)});
  }
  QEFF_ASSIGN_OR_RETURN(const std::string norm,
                        config.StringOr("norm_type", "low_precision_layernorm"));
  if (norm != "low_precision_layernorm" && norm != "layernorm") {
    return config.ErrorAt(ErrorCode::kUnsupported, "norm_type",
                          fmt::format("only layer norms are supported, got '{}'", norm),
                          {std::string(kIgnored)});
  }
  // Of gradients, of a model without ALiBi, of a size that transformers takes as 4, of the first
  // values of the weights.
  for (const char* key :
       {"embedding_fraction", "learned_pos_emb", "expansion_ratio", "init_config"})
    config.MarkRead(key);
  return Status::Ok();
}

}  // namespace

Result<ir::Graph> Mpt(const FamilyInputs& inputs) {
  const ConfigReader& config = inputs.config;
  const DecoderDefaults defaults = {
      .vocab_size = 50368,
      .norm_epsilon = 1e-5,
      .tie_word_embeddings = true,
      .has_rotary = false,
      .keys = {.hidden_size = FirstKey(config, {"hidden_size", "d_model"}),
               .intermediate_size = "",
               .num_hidden_layers = FirstKey(config, {"num_hidden_layers", "n_layers"}),
               .num_attention_heads = FirstKey(config, {"num_attention_heads", "n_heads"}),
               .num_key_value_heads = "",
               .head_dim = "",
               .norm_epsilon = "layer_norm_epsilon",
               .activation = ""}};
  QEFF_ASSIGN_OR_RETURN(DecoderFacts facts, ReadDecoderFacts(inputs, defaults));
  facts.names = {.prefix = "transformer.",
                 .embedding = "wte",
                 .layers = "blocks",
                 .attention_norm = "norm_1",
                 .mlp_norm = "norm_2",
                 .final_norm = "norm_f"};
  facts.norm.kind = NormKind::kLayer;
  facts.norm.has_bias = false;
  QEFF_RETURN_IF_ERROR(CheckIgnored(config));
  config.MarkRead("max_seq_len");  // the length of a table of biases; they have no end

  facts.attention.names = {.prefix = "attn.", .fused = {.name = "Wqkv"}, .output = "out_proj"};
  facts.attention.alibi_slopes = AlibiSlopes(facts.attention.num_heads);
  if (config.Has("attn_config")) {
    QEFF_ASSIGN_OR_RETURN(const ConfigReader section, config.Section("attn_config"));
    QEFF_RETURN_IF_ERROR(ReadAttention(section, facts.attention));
  }
  facts.mlp.names = {.prefix = "ffn.", .up = "up_proj", .down = "down_proj"};
  facts.mlp.ffn_size = 4 * facts.hidden_size;
  facts.mlp.activation = "gelu";
  facts.mlp.is_gated = false;
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
