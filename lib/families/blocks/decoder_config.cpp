// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/families/blocks/decoder_config.h"

#include "lib/checkpoint/rope.h"
#include "lib/ops/activations.h"

namespace qeff::families {
namespace {

using checkpoint::ConfigReader;

Result<RotaryFacts> ReadRotary(const FamilyInputs& inputs, const DecoderDefaults& defaults,
                               int64_t head_size, int64_t max_positions) {
  QEFF_ASSIGN_OR_RETURN(
      const checkpoint::RopeConfig rope,
      checkpoint::ReadRope(inputs.config, {.default_theta = defaults.rope_theta}));
  QEFF_ASSIGN_OR_RETURN(checkpoint::RopeTable table,
                        checkpoint::ComputeRope(rope, head_size, max_positions));
  RotaryFacts facts{.rotary_channels = table.rotary_dim,
                    .inverse_frequencies = std::move(table.inverse_frequencies),
                    .scale = table.attention_scaling,
                    .table_rows = inputs.max_positions.value_or(max_positions)};
  if (rope.type == checkpoint::RopeType::kDynamic) {
    facts.kind = RotaryKind::kDynamic;
    facts.original_context_tokens = max_positions;
    facts.base = static_cast<float>(rope.theta);
    facts.factor = static_cast<float>(rope.factor.value_or(1));
  } else if (!table.long_inverse_frequencies.empty()) {
    facts.kind = RotaryKind::kByContext;
    facts.long_inverse_frequencies = std::move(table.long_inverse_frequencies);
    facts.original_context_tokens = table.long_from_tokens;
  }
  return facts;
}

}  // namespace

Result<DecoderFacts> ReadDecoderFacts(const FamilyInputs& inputs, const DecoderDefaults& defaults) {
  const ConfigReader& config = inputs.config;
  DecoderFacts facts;
  QEFF_ASSIGN_OR_RETURN(facts.vocab_size,
                        config.IntOr("vocab_size", defaults.vocab_size, checkpoint::kPositive));
  QEFF_ASSIGN_OR_RETURN(facts.hidden_size, config.Int("hidden_size", checkpoint::kPositive));
  QEFF_ASSIGN_OR_RETURN(facts.ffn_size, config.Int("intermediate_size", checkpoint::kPositive));
  constexpr checkpoint::IntRange kLayers{.minimum = 1, .maximum = 10000};
  QEFF_ASSIGN_OR_RETURN(const int64_t layers, config.Int("num_hidden_layers", kLayers));
  facts.layers.resize(static_cast<size_t>(layers));
  QEFF_ASSIGN_OR_RETURN(facts.num_heads, config.Int("num_attention_heads", checkpoint::kPositive));
  const int64_t kv_fallback =
      defaults.num_key_value_heads > 0 ? defaults.num_key_value_heads : facts.num_heads;
  QEFF_ASSIGN_OR_RETURN(facts.num_kv_heads,
                        config.IntOr("num_key_value_heads", kv_fallback, checkpoint::kPositive));
  if (facts.num_heads % facts.num_kv_heads != 0) {
    return config.ErrorAt(ErrorCode::kInvalidInput, "num_key_value_heads",
                          fmt::format("expected a divisor of num_attention_heads ({}), got {}",
                                      facts.num_heads, facts.num_kv_heads));
  }
  const int64_t head_fallback =
      defaults.head_dim > 0 ? defaults.head_dim : facts.hidden_size / facts.num_heads;
  if (!config.Has("head_dim") && defaults.head_dim == 0 &&
      facts.hidden_size % facts.num_heads != 0) {
    return config.ErrorAt(ErrorCode::kInvalidInput, "hidden_size",
                          fmt::format("expected a multiple of num_attention_heads ({}), got {}",
                                      facts.num_heads, facts.hidden_size));
  }
  QEFF_ASSIGN_OR_RETURN(facts.head_size,
                        config.IntOr("head_dim", head_fallback, checkpoint::kPositive));
  QEFF_ASSIGN_OR_RETURN(const double epsilon,
                        config.FloatOr("rms_norm_eps", 1e-6, checkpoint::kPositiveFloat));
  facts.norm_epsilon = static_cast<float>(epsilon);
  QEFF_ASSIGN_OR_RETURN(facts.activation, config.StringOr("hidden_act", "silu"));
  if (!ops::FindActivation(facts.activation)) {
    return config.ErrorAt(ErrorCode::kUnsupported, "hidden_act",
                          fmt::format("unknown activation '{}'", facts.activation));
  }
  QEFF_ASSIGN_OR_RETURN(facts.head_is_tied, config.BoolOr("tie_word_embeddings", false));
  QEFF_ASSIGN_OR_RETURN(const int64_t max_positions,
                        config.IntOr("max_position_embeddings", defaults.max_position_embeddings,
                                     checkpoint::kPositive));
  QEFF_ASSIGN_OR_RETURN(facts.rotary, ReadRotary(inputs, defaults, facts.head_size, max_positions));
  return facts;
}

Status ReadWindows(const ConfigReader& config, const WindowRule& rule, DecoderFacts& facts) {
  QEFF_ASSIGN_OR_RETURN(const auto given_window,
                        config.OptionalInt("sliding_window", checkpoint::kNotNegative));
  QEFF_ASSIGN_OR_RETURN(const bool use_window,
                        config.BoolOr("use_sliding_window", !rule.needs_use_sliding_window));
  QEFF_ASSIGN_OR_RETURN(const auto max_window_layers,
                        config.OptionalInt("max_window_layers", checkpoint::kNotNegative));
  QEFF_ASSIGN_OR_RETURN(const std::vector<std::string> types, config.Strings("layer_types"));
  // A key that is there but null means "no window"; one that is not there has the class's default.
  const auto window =
      config.Contains("sliding_window") ? given_window : rule.default_sliding_window;
  const int64_t window_tokens =
      use_window || !rule.needs_use_sliding_window ? window.value_or(0) : 0;
  if (!types.empty() && types.size() != facts.layers.size()) {
    return config.ErrorAt(
        ErrorCode::kInvalidInput, "layer_types",
        fmt::format("expected {} entries, one a layer, got {}", facts.layers.size(), types.size()));
  }
  const int64_t first = rule.default_max_window_layers
                            ? max_window_layers.value_or(*rule.default_max_window_layers)
                            : 0;
  for (size_t i = 0; i < facts.layers.size(); ++i) {
    bool slides = static_cast<int64_t>(i) >= first;
    if (!types.empty()) {
      if (types[i] != "full_attention" && types[i] != "sliding_attention") {
        return config.ErrorAt(ErrorCode::kUnsupported, "layer_types",
                              fmt::format("unknown layer type '{}'", types[i]),
                              {"known: full_attention, sliding_attention"});
      }
      slides = types[i] == "sliding_attention";
      if (slides && window_tokens == 0) {
        return config.ErrorAt(
            ErrorCode::kInvalidInput, "sliding_window",
            fmt::format("layer {} is of type sliding_attention, but there is no window", i));
      }
    }
    facts.layers[i].window_tokens = slides ? window_tokens : 0;
  }
  return Status::Ok();
}

}  // namespace qeff::families
