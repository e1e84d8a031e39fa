// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/tokenizer/config_node.h"

#include <fmt/ranges.h>

#include "lib/support/json.h"
#include "lib/tokenizer/unicode.h"

namespace qeff {
namespace {

const Json& AsJson(const void* json) {
  static const Json kNull;
  return json == nullptr ? kNull : *static_cast<const Json*>(json);
}

std::string ElementPath(const std::string& path, size_t index) {
  return fmt::format("{}[{}]", path, index);
}

/// What a message says of a value: short values themselves, else the type.
std::string Describe(const Json& json) {
  constexpr size_t kShortBytes = 40;
  if (json.is_null()) return "nothing";
  if (json.is_string() && json.get_ref<const std::string&>().size() <= kShortBytes) {
    return fmt::format("'{}'", json.get_ref<const std::string&>());
  }
  if (json.is_number() || json.is_boolean()) return json.dump();
  return fmt::format("{} {}", json.is_object() || json.is_array() ? "an" : "a", json.type_name());
}

}  // namespace

bool ConfigNode::is_absent() const { return AsJson(json_).is_null(); }
bool ConfigNode::is_string() const { return AsJson(json_).is_string(); }
bool ConfigNode::is_object() const { return AsJson(json_).is_object(); }
bool ConfigNode::is_array() const { return AsJson(json_).is_array(); }

ConfigNode ConfigNode::Member(std::string_view key) const {
  return {file_, path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key),
          Find(AsJson(json_), key)};
}

Result<std::vector<ConfigNode>> ConfigNode::Elements() const {
  std::vector<ConfigNode> elements;
  if (is_absent()) return elements;
  if (!is_array()) return Expected("an array");
  const Json& array = AsJson(json_);
  for (size_t i = 0; i < array.size(); ++i) {
    elements.push_back({file_, ElementPath(path_, i), &array[i]});
  }
  return elements;
}

Result<std::vector<std::pair<std::string, ConfigNode>>> ConfigNode::Members() const {
  std::vector<std::pair<std::string, ConfigNode>> members;
  if (is_absent()) return members;
  if (!is_object()) return Expected("an object");
  for (const auto& [key, value] : AsJson(json_).get_ref<const Json::object_t&>()) {
    members.emplace_back(key, ConfigNode(file_, fmt::format("{}.{}", path_, key), &value));
  }
  return members;
}

Result<std::string> ConfigNode::String() const {
  if (!is_string()) return Expected("a string");
  return AsJson(json_).get<std::string>();
}

Result<int64_t> ConfigNode::Integer(int64_t minimum, int64_t maximum) const {
  const Json& json = AsJson(json_);
  const bool fits =
      json.is_number_integer() && (!json.is_number_unsigned() || json.get<uint64_t>() <= INT64_MAX);
  if (!fits || json.get<int64_t>() < minimum || json.get<int64_t>() > maximum) {
    return Expected(fmt::format("an integer from {} to {}", minimum, maximum));
  }
  return json.get<int64_t>();
}

Result<std::string> ConfigNode::StringOr(std::string_view value) const {
  if (is_absent()) return std::string(value);
  return String();
}

Result<bool> ConfigNode::BooleanOr(bool value) const {
  if (is_absent()) return value;
  if (!AsJson(json_).is_boolean()) return Expected("true or false");
  return AsJson(json_).get<bool>();
}

Result<int64_t> ConfigNode::IntegerOr(int64_t minimum, int64_t maximum, int64_t value) const {
  if (is_absent()) return value;
  return Integer(minimum, maximum);
}

Result<std::string> ConfigNode::CharacterOr(std::string_view value) const {
  if (is_absent()) return std::string(value);
  QEFF_ASSIGN_OR_RETURN(std::string text, String());
  if (CountCharacters(text) != 1) return Expected("one character");
  return text;
}

Result<std::vector<std::pair<std::string_view, int64_t>>> ConfigNode::TokenIds() const {
  if (!is_object()) return Expected("an object of tokens and ids");
  std::vector<std::pair<std::string_view, int64_t>> entries;
  const auto& object = AsJson(json_).get_ref<const Json::object_t&>();
  entries.reserve(object.size());
  for (const auto& [token, id] : object) {
    // Ids are i32 in every model's input; a path is only made for the message.
    const ConfigNode node(file_, std::string(), &id);
    auto value = node.Integer(0, INT32_MAX);
    if (!value.ok()) return Member(token).Expected("an id from 0 to 2147483647");
    entries.emplace_back(token, *value);
  }
  return entries;
}

Result<std::vector<std::pair<std::string_view, double>>> ConfigNode::TokenScores() const {
  if (!is_array()) return Expected("an array of tokens and scores");
  const Json& array = AsJson(json_);
  std::vector<std::pair<std::string_view, double>> entries;
  entries.reserve(array.size());
  for (size_t i = 0; i < array.size(); ++i) {
    const Json& entry = array[i];
    if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() || !entry[1].is_number()) {
      return ConfigNode(file_, ElementPath(path_, i), &entry).Expected("[token, score]");
    }
    entries.emplace_back(entry[0].get_ref<const std::string&>(), entry[1].get<double>());
  }
  return entries;
}

Result<std::vector<ConfigNode::Merge>> ConfigNode::Merges() const {
  if (!is_array()) return Expected("an array of merges");
  const Json& array = AsJson(json_);
  std::vector<Merge> merges;
  merges.reserve(array.size());
  for (size_t i = 0; i < array.size(); ++i) {
    const Json& entry = array[i];
    if (entry.is_array() && entry.size() == 2 && entry[0].is_string() && entry[1].is_string()) {
      merges.push_back({.left = entry[0].get_ref<const std::string&>(),
                        .right = entry[1].get_ref<const std::string&>()});
      continue;
    }
    const std::string_view line =
        entry.is_string() ? std::string_view(entry.get_ref<const std::string&>()) : "";
    if (line.starts_with("#version")) continue;
    if (line.find(' ') == std::string_view::npos) {
      return ConfigNode(file_, ElementPath(path_, i), &entry)
          .Expected("a merge \"left right\" or [\"left\", \"right\"]");
    }
    merges.push_back({.line = line});
  }
  return merges;
}

Status ConfigNode::Invalid(std::string_view message, std::vector<std::string> notes) const {
  const std::string place = path_.empty() ? std::string() : fmt::format("'{}': ", path_);
  return InvalidInput(Location::File(*file_), place + std::string(message), std::move(notes));
}

Status ConfigNode::Expected(std::string_view expected) const {
  return Invalid(fmt::format("expected {}, got {}", expected, Describe(AsJson(json_))));
}

Status ConfigNode::UnknownType(std::string_view kind, std::string_view type,
                               const std::vector<std::string>& known) const {
  return Unsupported(Location::File(*file_),
                     fmt::format("'{}': {} '{}' is not supported", path_, kind, type),
                     {fmt::format("supported: {}", fmt::join(known, ", "))});
}

Result<ConfigDocument> ConfigDocument::Parse(std::string_view text, std::string_view path) {
  QEFF_ASSIGN_OR_RETURN(Json json, ParseJson(text, path));
  return Wrap(std::make_shared<const Json>(std::move(json)), path);
}

ConfigDocument ConfigDocument::Wrap(std::shared_ptr<const void> json, std::string_view path) {
  ConfigDocument document;
  document.path_ = std::make_unique<std::string>(path);
  document.json_ = std::move(json);
  return document;
}

ConfigNode ConfigDocument::root() const { return {path_.get(), std::string(), json_.get()}; }

}  // namespace qeff
