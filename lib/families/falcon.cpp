// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Falcon in its three forms: the new decoder (40B: grouped heads, a norm each for attention and
// feed-forward block; 11B: one norm for both), the old parallel one (7B: one head of key and
// value), and the old sequential one with ALiBi (RW).
#include <cmath>

#include "lib/families/blocks/decoder_config.h"
#include "lib/ops/tensor.h"

namespace qeff::families {
namespace {

using checkpoint::ConfigReader;

Status ReadLayout(const ConfigReader& config, DecoderFacts& facts, bool is_new) {
  QEFF_ASSIGN_OR_RETURN(facts.is_parallel, config.BoolOr("parallel_attn", true));
  QEFF_ASSIGN_OR_RETURN(const auto given_norms,
                        config.OptionalInt("num_ln_in_parallel_attn", checkpoint::kNotNegative));
  if (!facts.is_parallel) {
    if (!is_new) return Status::Ok();
    return config.ErrorAt(ErrorCode::kUnsupported, "parallel_attn",
                          "the new decoder architecture is parallel, got false");
  }
  const int64_t norms = given_norms.value_or(is_new ? 2 : 1);
  if (norms < 1 || norms > (is_new ? 2 : 1)) {
    return config.ErrorAt(ErrorCode::kUnsupported, "num_ln_in_parallel_attn",
                          fmt::format("expected {}, got {}", is_new ? "1 or 2" : "1", norms));
  }
  if (norms == 2) {
    facts.names.attention_norm = "ln_attn";
    facts.names.mlp_norm = "ln_mlp";
  } else {
    facts.names.mlp_norm.clear();
  }
  return Status::Ok();
}

Status ReadAttention(const ConfigReader& config, DecoderFacts& facts, bool is_new) {
  AttentionFacts& attention = facts.attention;
  QEFF_ASSIGN_OR_RETURN(const bool is_multi_query, config.BoolOr("multi_query", true));
  QEFF_ASSIGN_OR_RETURN(const auto kv_heads,
                        config.OptionalInt("num_kv_heads", checkpoint::kPositive));
  attention.num_kv_heads = is_new           ? kv_heads.value_or(attention.num_heads)
                           : is_multi_query ? 1
                                            : attention.num_heads;
  if (attention.num_heads % attention.num_kv_heads != 0) {
    return config.ErrorAt(ErrorCode::kInvalidInput, "num_kv_heads",
                          fmt::format("expected a divisor of num_attention_heads ({}), got {}",
                                      attention.num_heads, attention.num_kv_heads));
  }
  attention.names = {.prefix = "self_attention.",
                     .fused = {.name = "query_key_value", .groups = attention.num_kv_heads},
                     .output = "dense"};
  return Status::Ok();
}

/// transformers computes the biases in bf16, and its eager attention adds them twice: to the scores
/// before they are divided by sqrt(E), and, divided as well, with the mask.
void SetAlibi(AttentionFacts& attention) {
  for (const float slope : AlibiSlopes(attention.num_heads))
    attention.alibi_slopes.push_back(static_cast<float>(ops::RoundToFloat(slope, DType::kBf16)));
  attention.alibi_is_rounded_to_bf16 = true;
  attention.alibi_scale =
      static_cast<float>(2 / std::sqrt(static_cast<double>(attention.head_size)));
}

}  // namespace

Result<ir::Graph> Falcon(const FamilyInputs& inputs) {
  const ConfigReader& config = inputs.config;
  QEFF_ASSIGN_OR_RETURN(const bool has_alibi, config.BoolOr("alibi", false));
  const DecoderDefaults defaults = {
      .vocab_size = 65024,
      .max_position_embeddings = 2048,
      .norm_epsilon = 1e-5,
      .activation = "gelu",
      .tie_word_embeddings = true,
      .has_rotary = !has_alibi,
      .keys = {.hidden_size = FirstKey(config, {"n_embed", "hidden_size"}),
               .intermediate_size = "",
               .num_key_value_heads = "",
               .head_dim = "",
               .norm_epsilon = "layer_norm_epsilon",
               .activation = "activation"}};
  QEFF_ASSIGN_OR_RETURN(DecoderFacts facts, ReadDecoderFacts(inputs, defaults));
  facts.names = {.prefix = "transformer.",
                 .embedding = "word_embeddings",
                 .layers = "h",
                 .final_norm = "ln_f"};
  facts.norm.kind = NormKind::kLayer;
  QEFF_ASSIGN_OR_RETURN(const bool is_new, config.BoolOr("new_decoder_architecture", false));
  QEFF_RETURN_IF_ERROR(ReadLayout(config, facts, is_new));
  QEFF_RETURN_IF_ERROR(ReadAttention(config, facts, is_new));
  if (has_alibi) {
    SetAlibi(facts.attention);
    for (const char* key :
         {"max_position_embeddings", "rope_parameters", "rope_scaling", "rope_theta"})
      config.MarkRead(key);  // of the rotation that is not there
  }
  config.MarkRead("ff_factor");  // ffn_hidden_size / hidden_size, not read by transformers
  QEFF_RETURN_IF_ERROR(RefuseIfTrue(config, "apply_residual_connection_post_layernorm",
                                    "a residual that starts after the norm"));
  QEFF_ASSIGN_OR_RETURN(const bool has_bias, config.BoolOr("bias", false));
  facts.attention.query_key_value_have_bias = facts.attention.output_has_bias = has_bias;
  facts.attention.repeats_keys_and_values = inputs.strict_contract && is_new;
  facts.mlp.names = {.up = "dense_h_to_4h", .down = "dense_4h_to_h"};
  facts.mlp.is_gated = false;
  facts.mlp.has_bias = has_bias;
  QEFF_ASSIGN_OR_RETURN(facts.mlp.ffn_size,
                        ReadFfnSize(config, "ffn_hidden_size", facts.hidden_size));
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
