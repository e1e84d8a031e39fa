// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/families/blocks/decoder_config.h"

#include <algorithm>

#include "lib/ops/activations.h"

namespace qeff::families {
namespace {

using checkpoint::ConfigReader;
using checkpoint::IntRange;

// Tables are made of these sizes before any tensor is compared with them. The largest published
// models have 32768 channels and 256 heads.
constexpr IntRange kChannels{.minimum = 1, .maximum = 1 << 20};
constexpr IntRange kHeads{.minimum = 1, .maximum = 1 << 16};

/// The value of a key that may have no name, or no default (0).
Result<int64_t> ReadSize(const ConfigReader& config, const std::string& key, int64_t fallback,
                         const IntRange& range = checkpoint::kPositive) {
  if (key.empty()) return fallback;
  if (fallback == 0) return config.Int(key, range);
  return config.IntOr(key, fallback, range);
}

/// A list of one or more types for a message.
std::string Listed(const std::vector<std::string>& types) {
  return fmt::format("known: {}", fmt::join(types, ", "));
}

Status ReadHeads(const ConfigReader& config, const DecoderDefaults& defaults,
                 DecoderFacts& decoder) {
  const DecoderKeys& keys = defaults.keys;
  AttentionFacts& facts = decoder.attention;
  QEFF_ASSIGN_OR_RETURN(facts.num_heads, ReadSize(config, keys.num_attention_heads,
                                                  defaults.num_attention_heads, kHeads));
  const auto default_unless_null = [&](const std::string& key, int64_t fallback) {
    return config.Contains(key) && !config.Has(key) ? 0 : fallback;
  };
  const int64_t default_kv_heads =
      default_unless_null(keys.num_key_value_heads, defaults.num_key_value_heads);
  const int64_t kv_fallback = default_kv_heads > 0 ? default_kv_heads : facts.num_heads;
  QEFF_ASSIGN_OR_RETURN(facts.num_kv_heads,
                        ReadSize(config, keys.num_key_value_heads, kv_fallback));
  if (facts.num_heads % facts.num_kv_heads != 0) {
    return config.ErrorAt(
        ErrorCode::kInvalidInput, keys.num_key_value_heads,
        fmt::format("expected a divisor of {} ({}), got {}", keys.num_attention_heads,
                    facts.num_heads, facts.num_kv_heads));
  }
  const int64_t default_head_size = default_unless_null(keys.head_dim, defaults.head_dim);
  const bool is_given = !keys.head_dim.empty() && config.Has(keys.head_dim);
  if (!is_given && default_head_size == 0 && decoder.hidden_size % facts.num_heads != 0) {
    return config.ErrorAt(
        ErrorCode::kInvalidInput, keys.hidden_size,
        fmt::format("expected a multiple of {} ({}), got {}", keys.num_attention_heads,
                    facts.num_heads, decoder.hidden_size));
  }
  const int64_t head_fallback =
      default_head_size > 0 ? default_head_size : decoder.hidden_size / facts.num_heads;
  if (head_fallback == 0 && !is_given) {
    return config.ErrorAt(ErrorCode::kInvalidInput, keys.hidden_size,
                          fmt::format("expected at least {} ({}), got {}", keys.num_attention_heads,
                                      facts.num_heads, decoder.hidden_size));
  }
  QEFF_ASSIGN_OR_RETURN(facts.head_size, ReadSize(config, keys.head_dim, head_fallback, kChannels));
  return Status::Ok();
}

Status ReadTaskFacts(const FamilyInputs& inputs, DecoderFacts& facts) {
  facts.task = inputs.task;
  if (facts.task == Task::kMaskedLm) {
    return inputs.config.ErrorAt(ErrorCode::kUnsupported, "architectures",
                                 "a decoder has no head for masked tokens");
  }
  const bool classifies_texts = facts.task == Task::kSequenceClassification;
  if (!classifies_texts && facts.task != Task::kTokenClassification) return Status::Ok();
  QEFF_ASSIGN_OR_RETURN(facts.num_labels, ReadNumLabels(inputs.config));
  if (!classifies_texts) return Status::Ok();
  QEFF_ASSIGN_OR_RETURN(facts.pad_token_id, inputs.config.OptionalInt("pad_token_id"));
  return Status::Ok();
}

}  // namespace

std::string FirstKey(const ConfigReader& config, std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    if (config.Has(name)) return std::string(name);
  }
  return std::string(names.end()[-1]);
}

DecoderKeys Gpt2Keys(const ConfigReader& config) {
  return {.hidden_size = FirstKey(config, {"hidden_size", "n_embd"}),
          .intermediate_size = "",
          .num_hidden_layers = FirstKey(config, {"num_hidden_layers", "n_layer"}),
          .num_attention_heads = FirstKey(config, {"num_attention_heads", "n_head"}),
          .num_key_value_heads = "",
          .head_dim = "",
          .norm_epsilon = "layer_norm_epsilon",
          .activation = "activation_function",
          .max_position_embeddings = FirstKey(config, {"max_position_embeddings", "n_positions"})};
}

Result<RotaryFacts> ReadRotary(const FamilyInputs& inputs, const checkpoint::RopeOptions& options,
                               int64_t head_size, int64_t max_positions) {
  QEFF_ASSIGN_OR_RETURN(const checkpoint::RopeConfig rope,
                        checkpoint::ReadRope(inputs.config, options));
  return MakeRotary(inputs, rope, head_size, max_positions);
}

Result<RotaryFacts> MakeRotary(const FamilyInputs& inputs, const checkpoint::RopeConfig& rope,
                               int64_t head_size, int64_t max_positions) {
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
  if (facts.kind != RotaryKind::kDynamic) inputs.findings.LimitTokens(facts.table_rows);
  return facts;
}

Status ReadAttentionBias(const ConfigReader& config, DecoderFacts& facts) {
  QEFF_ASSIGN_OR_RETURN(const bool has_bias, config.BoolOr("attention_bias", false));
  facts.attention.query_key_value_have_bias = has_bias;
  facts.attention.output_has_bias = has_bias;
  return Status::Ok();
}

Result<float> ReadSoftcap(const ConfigReader& config, std::string_view key,
                          std::optional<double> fallback) {
  QEFF_ASSIGN_OR_RETURN(const auto given, config.OptionalFloat(key, checkpoint::kPositiveFloat));
  const std::optional<double> cap = config.Contains(key) ? given : fallback;
  return static_cast<float>(cap.value_or(0));
}

Status ReadMultipliers(const ConfigReader& config, DecoderFacts& facts) {
  QEFF_ASSIGN_OR_RETURN(const double embedding, config.FloatOr("embedding_multiplier", 1));
  QEFF_ASSIGN_OR_RETURN(const double residual, config.FloatOr("residual_multiplier", 1));
  QEFF_ASSIGN_OR_RETURN(const double scores, config.FloatOr("attention_multiplier", 1));
  QEFF_ASSIGN_OR_RETURN(const double divisor,
                        config.FloatOr("logits_scaling", 1, checkpoint::kPositiveFloat));
  facts.embedding_scale = static_cast<float>(embedding);
  facts.residual_scale = static_cast<float>(residual);
  facts.attention.scale = static_cast<float>(scores);
  facts.logits_scale = static_cast<float>(1 / divisor);
  return Status::Ok();
}

Status ReadUnrotatedLayers(const ConfigReader& config, DecoderFacts& facts) {
  constexpr IntRange kSwitch{.minimum = 0, .maximum = 1};
  QEFF_ASSIGN_OR_RETURN(const std::vector<int64_t> rotated, config.Ints("no_rope_layers", kSwitch));
  QEFF_ASSIGN_OR_RETURN(const int64_t interval,
                        config.IntOr("no_rope_layer_interval", 4, checkpoint::kPositive));
  if (!rotated.empty() && rotated.size() != facts.layers.size()) {
    return config.ErrorAt(ErrorCode::kInvalidInput, "no_rope_layers",
                          fmt::format("expected {} entries, one a layer, got {}",
                                      facts.layers.size(), rotated.size()));
  }
  for (size_t i = 0; i < facts.layers.size(); ++i) {
    const bool is_rotated =
        rotated.empty() ? (static_cast<int64_t>(i) + 1) % interval != 0 : rotated[i] != 0;
    if (!is_rotated) facts.layers[i].rotary = -1;
  }
  return Status::Ok();
}

Status IgnoreLayersOfLaterTokens(const ConfigReader& config, DecoderFacts& facts) {
  constexpr IntRange kLayers{.minimum = 0, .maximum = 10000};
  QEFF_ASSIGN_OR_RETURN(const int64_t count, config.IntOr("num_nextn_predict_layers", 0, kLayers));
  for (int64_t i = 0; i < count; ++i) {
    const auto layer = static_cast<int64_t>(facts.layers.size()) + i;
    facts.names.ignored.push_back(
        fmt::format("{}{}.{}.", facts.names.prefix, facts.names.layers, layer));
  }
  return Status::Ok();
}

Status RefuseIfTrue(const ConfigReader& config, std::string_view key, std::string_view meaning) {
  QEFF_ASSIGN_OR_RETURN(const bool is_on, config.BoolOr(key, false));
  if (!is_on) return Status::Ok();
  return config.ErrorAt(ErrorCode::kUnsupported, key, fmt::format("{} is not supported", meaning));
}

Status ReadRotaryDim(const FamilyInputs& inputs, const DecoderDefaults& defaults, int64_t fallback,
                     DecoderFacts& facts) {
  QEFF_ASSIGN_OR_RETURN(const int64_t channels,
                        inputs.config.IntOr("rotary_dim", fallback, checkpoint::kPositive));
  const int64_t head_size = facts.attention.head_size;
  if (channels > head_size || channels % 2 != 0) {
    return inputs.config.ErrorAt(
        ErrorCode::kInvalidInput, "rotary_dim",
        fmt::format("expected an even number up to the head size {}, got {}", head_size, channels));
  }
  QEFF_ASSIGN_OR_RETURN(const int64_t max_positions, ReadMaxPositions(inputs.config, defaults));
  QEFF_ASSIGN_OR_RETURN(checkpoint::RopeTable table,
                        checkpoint::ComputeRope({}, channels, max_positions));
  facts.rotaries = {{.rotary_channels = channels,
                     .inverse_frequencies = std::move(table.inverse_frequencies),
                     .table_rows = inputs.max_positions.value_or(max_positions)}};
  inputs.findings.LimitTokens(facts.rotaries[0].table_rows);
  for (LayerFacts& layer : facts.layers) layer.rotary = 0;
  return Status::Ok();
}

Result<std::string> ReadActivation(const ConfigReader& config, std::string_view key,
                                   std::string fallback) {
  QEFF_ASSIGN_OR_RETURN(std::string activation, config.StringOr(key, std::move(fallback)));
  if (!ops::FindActivation(activation)) {
    return config.ErrorAt(ErrorCode::kUnsupported, key,
                          fmt::format("unknown activation '{}'", activation),
                          {fmt::format("known: {}", fmt::join(ops::ActivationNames(), ", "))});
  }
  return std::string(ops::CanonicalActivation(activation));
}

Result<int64_t> ReadFfnSize(const ConfigReader& config, std::string_view key, int64_t hidden_size) {
  QEFF_ASSIGN_OR_RETURN(const auto given, config.OptionalInt(key, checkpoint::kPositive));
  return given.value_or(4 * hidden_size);
}

Result<int64_t> ReadMaxPositions(const ConfigReader& config, const DecoderDefaults& defaults) {
  return ReadSize(config, defaults.keys.max_position_embeddings, defaults.max_position_embeddings);
}

Result<DecoderFacts> ReadDecoderFacts(const FamilyInputs& inputs, const DecoderDefaults& defaults) {
  const ConfigReader& config = inputs.config;
  const DecoderKeys& keys = defaults.keys;
  DecoderFacts facts;
  QEFF_ASSIGN_OR_RETURN(facts.vocab_size, ReadSize(config, keys.vocab_size, defaults.vocab_size));
  QEFF_ASSIGN_OR_RETURN(facts.hidden_size,
                        ReadSize(config, keys.hidden_size, defaults.hidden_size, kChannels));
  if (!keys.intermediate_size.empty()) {
    QEFF_ASSIGN_OR_RETURN(facts.mlp.ffn_size,
                          ReadSize(config, keys.intermediate_size, defaults.intermediate_size));
  }
  constexpr IntRange kLayers{.minimum = 1, .maximum = 10000};
  QEFF_ASSIGN_OR_RETURN(const int64_t layers, ReadSize(config, keys.num_hidden_layers,
                                                       defaults.num_hidden_layers, kLayers));
  facts.layers.resize(static_cast<size_t>(layers));
  QEFF_RETURN_IF_ERROR(ReadHeads(config, defaults, facts));
  QEFF_ASSIGN_OR_RETURN(
      const double epsilon,
      keys.norm_epsilon.empty()
          ? Result<double>(defaults.norm_epsilon)
          : config.FloatOr(keys.norm_epsilon, defaults.norm_epsilon, checkpoint::kPositiveFloat));
  facts.norm.epsilon = static_cast<float>(epsilon);
  facts.attention.head_norm.epsilon = facts.norm.epsilon;
  if (!keys.activation.empty()) {
    QEFF_ASSIGN_OR_RETURN(facts.mlp.activation,
                          ReadActivation(config, keys.activation, defaults.activation));
  }
  QEFF_ASSIGN_OR_RETURN(facts.head_is_tied,
                        config.BoolOr("tie_word_embeddings", defaults.tie_word_embeddings));
  QEFF_RETURN_IF_ERROR(ReadTaskFacts(inputs, facts));
  if (!defaults.has_rotary) {
    for (LayerFacts& layer : facts.layers) layer.rotary = -1;
    return facts;
  }
  QEFF_ASSIGN_OR_RETURN(const int64_t max_positions, ReadMaxPositions(config, defaults));
  const checkpoint::RopeOptions options = {
      .default_theta = defaults.rope_theta,
      .default_partial_rotary_factor = defaults.partial_rotary_factor,
      .theta_key = keys.rope_theta};
  facts.rotaries.resize(1);
  QEFF_ASSIGN_OR_RETURN(facts.rotaries[0],
                        ReadRotary(inputs, options, facts.attention.head_size, max_positions));
  return facts;
}

Result<std::vector<std::string>> ReadLayerTypes(const ConfigReader& config,
                                                const std::vector<std::string>& known,
                                                size_t num_layers) {
  QEFF_ASSIGN_OR_RETURN(std::vector<std::string> types, config.Strings("layer_types"));
  if (!types.empty() && types.size() != num_layers) {
    return config.ErrorAt(
        ErrorCode::kInvalidInput, "layer_types",
        fmt::format("expected {} entries, one a layer, got {}", num_layers, types.size()));
  }
  for (const std::string& type : types) {
    if (std::find(known.begin(), known.end(), type) == known.end()) {
      return config.ErrorAt(ErrorCode::kUnsupported, "layer_types",
                            fmt::format("unknown layer type '{}'", type), {Listed(known)});
    }
  }
  return types;
}

Status ReadWindows(const ConfigReader& config, const WindowRule& rule, DecoderFacts& facts) {
  QEFF_ASSIGN_OR_RETURN(const auto given_window,
                        config.OptionalInt("sliding_window", checkpoint::kNotNegative));
  QEFF_ASSIGN_OR_RETURN(const bool use_window,
                        config.BoolOr("use_sliding_window", !rule.needs_use_sliding_window));
  QEFF_ASSIGN_OR_RETURN(const auto max_window_layers,
                        config.OptionalInt("max_window_layers", checkpoint::kNotNegative));
  std::vector<std::string> types;
  if (rule.has_layer_types) {
    QEFF_ASSIGN_OR_RETURN(types, ReadLayerTypes(config, {"full_attention", "sliding_attention"},
                                                facts.layers.size()));
  }
  int64_t pattern = rule.default_sliding_window_pattern;
  if (pattern > 0) {
    // transformers 5 keeps the key of older files under a name with an underscore.
    for (const char* key : {"_sliding_window_pattern", "sliding_window_pattern"}) {
      // Beside an explicit list the key has no effect, and is not always a number ("LLLG").
      if (!types.empty()) {
        config.MarkRead(key);
        continue;
      }
      QEFF_ASSIGN_OR_RETURN(pattern, config.IntOr(key, pattern, checkpoint::kPositive));
    }
  }
  // A key that is there but null means "no window"; one that is not there has the class's default.
  const auto window =
      config.Contains("sliding_window") ? given_window : rule.default_sliding_window;
  const int64_t window_tokens =
      use_window || !rule.needs_use_sliding_window ? window.value_or(0) : 0;
  const int64_t first = rule.default_max_window_layers
                            ? max_window_layers.value_or(*rule.default_max_window_layers)
                            : 0;
  for (size_t i = 0; i < facts.layers.size(); ++i) {
    const auto index = static_cast<int64_t>(i);
    bool slides = index >= first && (pattern == 0 || (index + 1) % pattern != 0);
    if (!types.empty()) {
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

std::string FindTextPrefix(const WeightTable& weights) {
  const std::string nested = "model.language_model.";
  const auto found = weights.weights.lower_bound(nested);
  return found != weights.weights.end() && found->first.starts_with(nested) ? nested : "model.";
}

Status MarkSectionedRotation(const ConfigReader& config) {
  for (const char* key : {"rope_parameters", "rope_scaling"}) {
    if (!config.Has(key)) continue;
    QEFF_ASSIGN_OR_RETURN(const ConfigReader rope, config.Section(key));
    for (const char* section : {"mrope_section", "mrope_interleaved"}) rope.MarkRead(section);
  }
  return Status::Ok();
}

}  // namespace qeff::families
