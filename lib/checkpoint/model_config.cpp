// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/checkpoint/model_config.h"

#include <cmath>
#include <set>

#include "lib/support/json.h"

namespace qeff::checkpoint {

struct ConfigReader::Document {
  std::string path;
  Json root;
  std::set<std::string> read;      // paths of values that were read
  std::set<std::string> sections;  // paths of objects that were opened: their keys count one by one
};

namespace {

const Json& AsJson(const void* value) { return *static_cast<const Json*>(value); }

/// A value for a message: short, whatever the file holds.
std::string Shown(const Json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return "a list";
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  constexpr size_t kLimit = 60;
  return text.size() <= kLimit ? text : "a long string";
}

std::optional<int64_t> AsInt(const Json& value) {
  if (value.is_number_unsigned()) {
    const auto number = value.get<uint64_t>();
    if (number > static_cast<uint64_t>(INT64_MAX)) return std::nullopt;
    return static_cast<int64_t>(number);
  }
  if (value.is_number_integer()) return value.get<int64_t>();
  if (value.is_number_float()) {
    const double number = value.get<double>();
    constexpr double kExact = 9007199254740992.0;  // 2^53: every integer below it is exact
    if (std::fabs(number) < kExact && number == std::floor(number)) {
      return static_cast<int64_t>(number);
    }
  }
  return std::nullopt;
}

/// True if the key may go unread without a word.
bool IsHarmless(const std::string& key, const Json& value) {
  const KeyEffect effect = EffectOfKey(key);
  return value.is_null() || effect == KeyEffect::kNone ||
         (effect == KeyEffect::kNoneIfFalse && value == false);
}

std::string Describe(const IntRange& range) {
  if (range.maximum == IntRange{}.maximum) return fmt::format("at least {}", range.minimum);
  return fmt::format("{} to {}", range.minimum, range.maximum);
}

std::string Describe(const FloatRange& range) {
  return std::isinf(range.above) ? fmt::format("at least {}", range.minimum)
                                 : fmt::format("more than {}", range.above);
}

}  // namespace

ConfigReader::ConfigReader(std::shared_ptr<Document> document, const void* object,
                           std::string prefix)
    : document_(std::move(document)), object_(object), prefix_(std::move(prefix)) {}

Result<ConfigReader> ConfigReader::Read(const std::filesystem::path& path) {
  QEFF_ASSIGN_OR_RETURN(Json root, ReadJsonFile(path));
  auto document = std::make_shared<Document>();
  document->path = path.string();
  document->root = std::move(root);
  if (!document->root.is_object()) {
    return InvalidInput(Location::File(document->path),
                        "expected a JSON object, got " + Shown(document->root));
  }
  const void* object = &document->root;
  return ConfigReader(std::move(document), object, "");
}

Result<ConfigReader> ConfigReader::Parse(std::string_view text, std::string_view path) {
  QEFF_ASSIGN_OR_RETURN(Json root, ParseJson(text, path));
  auto document = std::make_shared<Document>();
  document->path = std::string(path);
  document->root = std::move(root);
  if (!document->root.is_object()) {
    return InvalidInput(Location::File(path),
                        "expected a JSON object, got " + Shown(document->root));
  }
  const void* object = &document->root;
  return ConfigReader(std::move(document), object, "");
}

bool ConfigReader::Has(std::string_view key) const {
  const Json* value = Find(AsJson(object_), key);
  return value != nullptr && !value->is_null();
}

bool ConfigReader::Contains(std::string_view key) const {
  return Find(AsJson(object_), key) != nullptr;
}

bool ConfigReader::IsObject(std::string_view key) const {
  const Json* value = Find(AsJson(object_), key);
  return value != nullptr && value->is_object();
}

std::vector<std::string> ConfigReader::Keys() const {
  std::vector<std::string> keys;
  for (const auto& item : AsJson(object_).items()) keys.push_back(item.key());
  return keys;
}

const void* ConfigReader::Value(std::string_view key) const {
  const Json* value = Find(AsJson(object_), key);
  if (value == nullptr) return nullptr;
  MarkRead(key);
  return value->is_null() ? nullptr : value;
}

void ConfigReader::MarkRead(std::string_view key) const { document_->read.insert(KeyPath(key)); }

std::string ConfigReader::KeyPath(std::string_view key) const { return prefix_ + std::string(key); }

const std::string& ConfigReader::file() const { return document_->path; }

Status ConfigReader::ErrorAt(ErrorCode code, std::string_view key, std::string_view message,
                             std::vector<std::string> notes) const {
  return Error(code, Location::File(document_->path),
               fmt::format("key '{}': {}", KeyPath(key), message), std::move(notes));
}

Status ConfigReader::WrongType(std::string_view key, std::string_view expected,
                               const void* value) const {
  return ErrorAt(ErrorCode::kInvalidInput, key,
                 fmt::format("expected {}, got {}", expected, Shown(AsJson(value))));
}

Status ConfigReader::Missing(std::string_view key) const {
  return InvalidInput(Location::File(document_->path),
                      fmt::format("key '{}' is missing", KeyPath(key)));
}

Result<std::optional<int64_t>> ConfigReader::OptionalInt(std::string_view key,
                                                         IntRange range) const {
  const void* value = Value(key);
  if (value == nullptr) return std::optional<int64_t>();
  const std::optional<int64_t> number = AsInt(AsJson(value));
  if (!number) return WrongType(key, "an integer", value);
  if (*number < range.minimum || *number > range.maximum) {
    return ErrorAt(ErrorCode::kInvalidInput, key,
                   fmt::format("expected {}, got {}", Describe(range), *number));
  }
  return number;
}

Result<std::optional<double>> ConfigReader::OptionalFloat(std::string_view key,
                                                          FloatRange range) const {
  const void* value = Value(key);
  if (value == nullptr) return std::optional<double>();
  if (!AsJson(value).is_number()) return WrongType(key, "a number", value);
  const double number = AsJson(value).get<double>();
  if (!(number >= range.minimum && number > range.above)) {
    return ErrorAt(ErrorCode::kInvalidInput, key,
                   fmt::format("expected {}, got {}", Describe(range), number));
  }
  return std::optional<double>(number);
}

Result<std::optional<bool>> ConfigReader::OptionalBool(std::string_view key) const {
  const void* value = Value(key);
  if (value == nullptr) return std::optional<bool>();
  if (!AsJson(value).is_boolean()) return WrongType(key, "true or false", value);
  return std::optional<bool>(AsJson(value).get<bool>());
}

Result<std::optional<std::string>> ConfigReader::OptionalString(std::string_view key) const {
  const void* value = Value(key);
  if (value == nullptr) return std::optional<std::string>();
  if (!AsJson(value).is_string()) return WrongType(key, "a string", value);
  return std::optional<std::string>(AsJson(value).get<std::string>());
}

Result<int64_t> ConfigReader::Int(std::string_view key, IntRange range) const {
  QEFF_ASSIGN_OR_RETURN(const auto value, OptionalInt(key, range));
  if (!value) return Missing(key);
  return *value;
}

Result<double> ConfigReader::Float(std::string_view key, FloatRange range) const {
  QEFF_ASSIGN_OR_RETURN(const auto value, OptionalFloat(key, range));
  if (!value) return Missing(key);
  return *value;
}

Result<bool> ConfigReader::Bool(std::string_view key) const {
  QEFF_ASSIGN_OR_RETURN(const auto value, OptionalBool(key));
  if (!value) return Missing(key);
  return *value;
}

Result<std::string> ConfigReader::String(std::string_view key) const {
  QEFF_ASSIGN_OR_RETURN(auto value, OptionalString(key));
  if (!value) return Missing(key);
  return std::move(*value);
}

Result<ConfigReader> ConfigReader::Section(std::string_view key) const {
  const void* value = Value(key);
  if (value == nullptr) return Missing(key);
  if (!AsJson(value).is_object()) return WrongType(key, "an object", value);
  document_->sections.insert(KeyPath(key));
  return ConfigReader(document_, value, KeyPath(key) + ".");
}

Result<int64_t> ConfigReader::IntOr(std::string_view key, int64_t fallback, IntRange range) const {
  QEFF_ASSIGN_OR_RETURN(const auto value, OptionalInt(key, range));
  return value.value_or(fallback);
}

Result<double> ConfigReader::FloatOr(std::string_view key, double fallback,
                                     FloatRange range) const {
  QEFF_ASSIGN_OR_RETURN(const auto value, OptionalFloat(key, range));
  return value.value_or(fallback);
}

Result<bool> ConfigReader::BoolOr(std::string_view key, bool fallback) const {
  QEFF_ASSIGN_OR_RETURN(const auto value, OptionalBool(key));
  return value.value_or(fallback);
}

Result<std::string> ConfigReader::StringOr(std::string_view key, std::string fallback) const {
  QEFF_ASSIGN_OR_RETURN(auto value, OptionalString(key));
  return value ? std::move(*value) : std::move(fallback);
}

template <typename T, typename Convert>
Result<std::vector<T>> ConfigReader::List(std::string_view key, Convert convert) const {
  const void* value = Value(key);
  std::vector<T> list;
  if (value == nullptr) return list;
  const Json& json = AsJson(value);
  if (!json.is_array()) {
    QEFF_ASSIGN_OR_RETURN(T single, convert(json, key));
    list.push_back(std::move(single));
    return list;
  }
  for (size_t i = 0; i < json.size(); ++i) {
    QEFF_ASSIGN_OR_RETURN(T item, convert(json[i], fmt::format("{}[{}]", key, i)));
    list.push_back(std::move(item));
  }
  return list;
}

Result<std::vector<int64_t>> ConfigReader::Ints(std::string_view key, IntRange range) const {
  return List<int64_t>(key, [&](const Json& item, std::string_view name) -> Result<int64_t> {
    const std::optional<int64_t> number = AsInt(item);
    if (!number) return WrongType(name, "an integer", &item);
    if (*number < range.minimum || *number > range.maximum) {
      return ErrorAt(ErrorCode::kInvalidInput, name,
                     fmt::format("expected {}, got {}", Describe(range), *number));
    }
    return *number;
  });
}

Result<std::vector<double>> ConfigReader::Floats(std::string_view key, FloatRange range) const {
  return List<double>(key, [&](const Json& item, std::string_view name) -> Result<double> {
    if (!item.is_number()) return WrongType(name, "a number", &item);
    const double number = item.get<double>();
    if (!(number >= range.minimum && number > range.above)) {
      return ErrorAt(ErrorCode::kInvalidInput, name,
                     fmt::format("expected {}, got {}", Describe(range), number));
    }
    return number;
  });
}

Result<std::vector<bool>> ConfigReader::Bools(std::string_view key) const {
  return List<bool>(key, [&](const Json& item, std::string_view name) -> Result<bool> {
    if (!item.is_boolean()) return WrongType(name, "true or false", &item);
    return item.get<bool>();
  });
}

Result<std::vector<std::string>> ConfigReader::Strings(std::string_view key) const {
  return List<std::string>(key,
                           [&](const Json& item, std::string_view name) -> Result<std::string> {
                             if (!item.is_string()) return WrongType(name, "a string", &item);
                             return item.get<std::string>();
                           });
}

Result<ConfigReader> ConfigReader::TextConfig() const {
  if (!Has("text_config")) return *this;
  return Section("text_config");
}

std::vector<std::string> ConfigReader::UnreadKeys() const {
  std::vector<std::string> unread;
  const auto visit = [&](const auto& self, const Json& object, const std::string& prefix) -> void {
    for (const auto& item : object.items()) {
      const std::string path = prefix + item.key();
      if (document_->sections.contains(path)) {
        self(self, item.value(), path + ".");
      } else if (!document_->read.contains(path) && !IsHarmless(item.key(), item.value())) {
        unread.push_back(path);
      }
    }
  };
  visit(visit, document_->root, "");
  return unread;
}

void ConfigReader::ReportUnread(Diagnostics& diagnostics) const {
  const std::vector<std::string> unread = UnreadKeys();
  if (unread.empty()) return;
  diagnostics.AddWarning(Location::File(document_->path),
                         fmt::format("{} nobody reads: '{}'", unread.size() == 1 ? "a key" : "keys",
                                     fmt::join(unread, "', '")),
                         {"if one of them changes what the model computes, the results are wrong"});
}

Result<std::optional<DType>> ReadDType(const ConfigReader& config) {
  QEFF_ASSIGN_OR_RETURN(const auto old_name, config.OptionalString("torch_dtype"));
  QEFF_ASSIGN_OR_RETURN(const auto new_name, config.OptionalString("dtype"));
  if (!new_name && !old_name) return std::optional<DType>();
  const std::string_view key = new_name ? "dtype" : "torch_dtype";
  std::string_view name = new_name ? *new_name : *old_name;
  if (name.starts_with("torch.")) name.remove_prefix(6);
  if (name == "float32" || name == "float") return std::optional(DType::kF32);
  if (name == "bfloat16") return std::optional(DType::kBf16);
  if (name == "float16" || name == "half") return std::optional(DType::kF16);
  if (name == "float64" || name == "double") return std::optional(DType::kF64);
  if (name == "float8_e4m3fn") return std::optional(DType::kF8E4M3);
  if (name == "float8_e5m2") return std::optional(DType::kF8E5M2);
  if (name == "auto") return std::optional<DType>();
  return config.ErrorAt(
      ErrorCode::kInvalidInput, key,
      fmt::format("expected float32, bfloat16, float16 or float64, got '{}'", name));
}

}  // namespace qeff::checkpoint
