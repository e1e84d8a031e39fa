// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "lib/checkpoint/rope.h"

namespace qeff::checkpoint {
namespace {

struct TypeName {
  RopeType type;
  std::string_view name;
};
constexpr std::array kTypeNames = {
    TypeName{RopeType::kDefault, "default"},
    TypeName{RopeType::kLinear, "linear"},
    TypeName{RopeType::kDynamic, "dynamic"},
    TypeName{RopeType::kYarn, "yarn"},
    TypeName{RopeType::kLlama3, "llama3"},
    TypeName{RopeType::kLongrope, "longrope"},
    TypeName{RopeType::kProportional, "proportional"},
};

/// Returns the reader of the object that holds the rope values, or nullopt if all are beside it.
Result<std::optional<ConfigReader>> RopeObject(const ConfigReader& config,
                                               const RopeOptions& options) {
  const auto is_filled = [&](std::string_view key) -> Result<bool> {
    if (!config.Has(key)) return false;
    QEFF_ASSIGN_OR_RETURN(const ConfigReader section, config.Section(key));
    return !section.Keys().empty();
  };
  QEFF_ASSIGN_OR_RETURN(const bool has_scaling, is_filled("rope_scaling"));
  QEFF_ASSIGN_OR_RETURN(const bool has_parameters, is_filled("rope_parameters"));
  if (!has_scaling && !has_parameters) return std::optional<ConfigReader>();
  const std::string key = has_scaling ? "rope_scaling" : "rope_parameters";
  QEFF_ASSIGN_OR_RETURN(const ConfigReader object, config.Section(key));
  const std::vector<std::string> keys = object.Keys();
  // transformers leaves keys of no layer type beside the objects if not all types occur.
  const bool is_per_layer_type =
      object.IsObject(options.layer_type) ||
      std::all_of(keys.begin(), keys.end(), [&](const std::string& name) {
        return object.IsObject(name) || !object.Has(name);
      });
  if (is_per_layer_type) {
    if (!object.Has(options.layer_type)) {
      return config.ErrorAt(
          ErrorCode::kInvalidInput, key,
          options.layer_type.empty()
              ? std::string("expected one object for all layers, got one per layer type")
              : fmt::format("entry '{}' is missing", options.layer_type),
          {fmt::format("it has: {}", fmt::join(keys, ", "))});
    }
    QEFF_ASSIGN_OR_RETURN(ConfigReader entry, object.Section(options.layer_type));
    return std::optional<ConfigReader>(std::move(entry));
  }
  if (has_scaling && !options.uses_rope_scaling) return std::optional<ConfigReader>();
  return std::optional<ConfigReader>(object);
}

Result<RopeType> ReadType(const ConfigReader& object) {
  QEFF_ASSIGN_OR_RETURN(const auto old_name, object.OptionalString("type"));
  QEFF_ASSIGN_OR_RETURN(const auto new_name, object.OptionalString("rope_type"));
  const std::string name = new_name ? *new_name : old_name.value_or("default");
  if (name == "su") return RopeType::kLongrope;
  std::vector<std::string> known;
  for (const TypeName& entry : kTypeNames) {
    if (entry.name == name) return entry.type;
    known.emplace_back(entry.name);
  }
  return object.ErrorAt(ErrorCode::kUnsupported, new_name ? "rope_type" : "type",
                        fmt::format("unknown rope type '{}'", name),
                        {fmt::format("known types: {}", fmt::join(known, ", "))});
}

Status ReadYarn(const ConfigReader& object, RopeConfig& rope) {
  // An explicit null means "the ratio of the lengths"; a key that is not there is a mistake.
  if (!object.Contains("factor")) {
    return object.ErrorAt(ErrorCode::kInvalidInput, "factor",
                          "is missing, rope type 'yarn' needs it");
  }
  QEFF_ASSIGN_OR_RETURN(rope.factor, object.OptionalFloat("factor", kPositiveFloat));
  QEFF_ASSIGN_OR_RETURN(rope.attention_factor,
                        object.OptionalFloat("attention_factor", kPositiveFloat));
  QEFF_ASSIGN_OR_RETURN(rope.beta_fast,
                        object.FloatOr("beta_fast", rope.beta_fast, kPositiveFloat));
  QEFF_ASSIGN_OR_RETURN(rope.beta_slow,
                        object.FloatOr("beta_slow", rope.beta_slow, kPositiveFloat));
  QEFF_ASSIGN_OR_RETURN(rope.mscale, object.FloatOr("mscale", 0, {.minimum = 0}));
  QEFF_ASSIGN_OR_RETURN(rope.mscale_all_dim, object.FloatOr("mscale_all_dim", 0, {.minimum = 0}));
  QEFF_ASSIGN_OR_RETURN(rope.ramp_is_truncated, object.BoolOr("truncate", true));
  if (rope.theta <= 1) {
    return object.ErrorAt(ErrorCode::kInvalidInput, "rope_theta",
                          fmt::format("rope type 'yarn' needs more than 1, got {}", rope.theta));
  }
  return Status::Ok();
}

Status ReadLlama3(const ConfigReader& object, RopeConfig& rope) {
  QEFF_ASSIGN_OR_RETURN(rope.factor, object.Float("factor", kPositiveFloat));
  QEFF_ASSIGN_OR_RETURN(rope.low_freq_factor, object.Float("low_freq_factor", kPositiveFloat));
  QEFF_ASSIGN_OR_RETURN(rope.high_freq_factor, object.Float("high_freq_factor", kPositiveFloat));
  if (rope.high_freq_factor < rope.low_freq_factor) {  // equal in Llama 4 Scout
    return object.ErrorAt(ErrorCode::kInvalidInput, "high_freq_factor",
                          fmt::format("expected low_freq_factor {} or more, got {}",
                                      rope.low_freq_factor, rope.high_freq_factor));
  }
  return Status::Ok();
}

Status ReadLongrope(const ConfigReader& object, RopeConfig& rope) {
  QEFF_ASSIGN_OR_RETURN(rope.factor, object.OptionalFloat("factor", kPositiveFloat));
  QEFF_ASSIGN_OR_RETURN(rope.attention_factor,
                        object.OptionalFloat("attention_factor", kPositiveFloat));
  QEFF_ASSIGN_OR_RETURN(rope.short_factor, object.Floats("short_factor", kPositiveFloat));
  QEFF_ASSIGN_OR_RETURN(rope.long_factor, object.Floats("long_factor", kPositiveFloat));
  for (const std::string_view key : {"short_factor", "long_factor"}) {
    if (!object.Has(key)) {
      return object.ErrorAt(ErrorCode::kInvalidInput, key,
                            "is missing, rope type 'longrope' needs it");
    }
  }
  return Status::Ok();
}

Status ReadScaling(const ConfigReader& config, const ConfigReader& object, RopeConfig& rope) {
  switch (rope.type) {
    case RopeType::kDefault:
      return Status::Ok();
    case RopeType::kLinear:
    case RopeType::kDynamic: {
      QEFF_ASSIGN_OR_RETURN(rope.factor, object.Float("factor", kPositiveFloat));
      object.MarkRead("original_max_position_embeddings");  // some configs have it; not used
      return Status::Ok();
    }
    case RopeType::kProportional: {
      QEFF_ASSIGN_OR_RETURN(rope.factor, object.FloatOr("factor", 1, kPositiveFloat));
      return Status::Ok();
    }
    case RopeType::kYarn:
      QEFF_RETURN_IF_ERROR(ReadYarn(object, rope));
      break;
    case RopeType::kLlama3:
      QEFF_RETURN_IF_ERROR(ReadLlama3(object, rope));
      break;
    case RopeType::kLongrope:
      QEFF_RETURN_IF_ERROR(ReadLongrope(object, rope));
      break;
  }
  QEFF_ASSIGN_OR_RETURN(const auto inside,
                        object.OptionalInt("original_max_position_embeddings", kPositive));
  QEFF_ASSIGN_OR_RETURN(const auto beside,
                        config.OptionalInt("original_max_position_embeddings", kPositive));
  rope.original_max_position_embeddings = beside ? beside : inside;
  return Status::Ok();
}

}  // namespace

std::string_view RopeTypeName(RopeType type) {
  for (const TypeName& entry : kTypeNames) {
    if (entry.type == type) return entry.name;
  }
  return "";
}

Result<RopeConfig> ReadRope(const ConfigReader& config, const RopeOptions& options) {
  RopeConfig rope{.type = options.default_type,
                  .factor = options.default_type == RopeType::kProportional
                                ? std::optional<double>(1)
                                : std::nullopt,
                  .file = config.file(),
                  .key = config.KeyPath(options.theta_key)};
  QEFF_ASSIGN_OR_RETURN(const std::optional<ConfigReader> object, RopeObject(config, options));
  QEFF_ASSIGN_OR_RETURN(rope.theta,
                        config.FloatOr(options.theta_key, options.default_theta, kPositiveFloat));
  QEFF_ASSIGN_OR_RETURN(const auto partial,
                        config.OptionalFloat("partial_rotary_factor", kPositiveFloat));
  QEFF_ASSIGN_OR_RETURN(const auto percentage, config.OptionalFloat("rotary_pct", kPositiveFloat));
  std::optional<double> partial_inside;
  config.MarkRead("original_max_position_embeddings");  // phi3 has it beside a null rope_scaling
  if (object) {
    rope.key = object->KeyPath("");
    rope.key.pop_back();
    QEFF_ASSIGN_OR_RETURN(rope.theta, object->FloatOr("rope_theta", rope.theta, kPositiveFloat));
    QEFF_ASSIGN_OR_RETURN(partial_inside,
                          object->OptionalFloat("partial_rotary_factor", kPositiveFloat));
    QEFF_ASSIGN_OR_RETURN(rope.type, ReadType(*object));
    QEFF_RETURN_IF_ERROR(ReadScaling(config, *object, rope));
  }
  rope.partial_rotary_factor = partial_inside ? *partial_inside
                               : partial      ? *partial
                               : percentage   ? *percentage
                                              : options.default_partial_rotary_factor;
  if (rope.partial_rotary_factor > 1) {
    return config.ErrorAt(ErrorCode::kInvalidInput,
                          partial_inside ? "rope_parameters" : "partial_rotary_factor",
                          fmt::format("the rotated part of a head must be at most 1, got {}",
                                      rope.partial_rotary_factor));
  }
  return rope;
}

}  // namespace qeff::checkpoint
