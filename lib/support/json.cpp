// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/support/json.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "lib/support/file.h"

namespace qeff {
namespace {

constexpr int kMaxDepth = 100;

/// Builds the value while parsing, and refuses what the standard leaves to the reader: duplicate
/// keys and deep nesting.
class StrictBuilder : public nlohmann::json_sax<Json> {
 public:
  explicit StrictBuilder(Json& root) : root_(root) {}

  bool null() override { return Put(nullptr); }
  bool boolean(bool value) override { return Put(value); }
  bool number_integer(number_integer_t value) override { return Put(value); }
  bool number_unsigned(number_unsigned_t value) override { return Put(value); }
  bool number_float(number_float_t value, const string_t&) override { return Put(value); }
  bool string(string_t& value) override { return Put(std::move(value)); }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return Open(Json::object()); }
  bool start_array(std::size_t) override { return Open(Json::array()); }
  bool end_object() override {
    if (const std::string* key = FindTwin(stack_.back()->get_ref<const Json::object_t&>())) {
      problem = fmt::format("key '{}' appears twice in one object", *key);
      return false;
    }
    stack_.pop_back();
    return true;
  }
  bool end_array() override {
    stack_.pop_back();
    return true;
  }
  bool key(string_t& name) override {
    key_ = std::move(name);
    return true;
  }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    error_byte = position;
    problem = error.what();
    if (const size_t colon = problem.rfind(": "); colon != std::string::npos) {
      problem = "not valid JSON: " + problem.substr(colon + 2);
    }
    return false;
  }

  std::string problem;
  std::size_t error_byte = 0;

 private:
  Json* Place(Json value) {
    if (stack_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    Json& top = *stack_.back();
    if (top.is_array()) {
      top.push_back(std::move(value));
      return &top.back();
    }
    // emplace_back keeps insertion order without the linear search of operator[]: duplicates are
    // refused in end_object().
    auto& object = top.get_ref<Json::object_t&>();
    static_cast<std::vector<Json::object_t::value_type>&>(object).emplace_back(std::move(key_),
                                                                               std::move(value));
    return &object.back().second;
  }
  bool Put(Json value) {
    Place(std::move(value));
    return true;
  }
  bool Open(Json container) {
    if (stack_.size() >= kMaxDepth) {
      problem = fmt::format("nested deeper than {}", kMaxDepth);
      return false;
    }
    stack_.push_back(Place(std::move(container)));
    return true;
  }
  /// Returns a key that `object` has twice; null if there is none. Vocabularies have hundreds of
  /// thousands of keys: sorting their hashes costs less than a set of strings, and keys that were
  /// made to collide cannot make it quadratic.
  static const std::string* FindTwin(const Json::object_t& object) {
    constexpr size_t kFewKeys = 8;
    if (object.size() <= kFewKeys) {
      for (auto member = object.begin(); member != object.end(); ++member) {
        for (auto other = object.begin(); other != member; ++other) {
          if (member->first == other->first) return &member->first;
        }
      }
      return nullptr;
    }
    std::vector<std::pair<size_t, const std::string*>> keys;
    keys.reserve(object.size());
    for (const auto& [key, value] : object) keys.emplace_back(std::hash<std::string>()(key), &key);
    std::sort(keys.begin(), keys.end(), [](const auto& left, const auto& right) {
      return left.first != right.first ? left.first < right.first : *left.second < *right.second;
    });
    for (size_t i = 1; i < keys.size(); ++i) {
      if (keys[i].first == keys[i - 1].first && *keys[i].second == *keys[i - 1].second) {
        return keys[i].second;
      }
    }
    return nullptr;
  }

  Json& root_;
  std::vector<Json*> stack_;
  std::string key_;
};

void AppendString(std::string_view text, std::string& out) {
  // dump() with ensure_ascii is exactly Python's escaping for valid UTF-8.
  out += Json(std::string(text)).dump(-1, ' ', true, Json::error_handler_t::replace);
}

void AppendPython(const Json& value, int depth, std::string& out) {
  const auto newline = [&out](int level) {
    out += '\n' + std::string(static_cast<size_t>(level) * 4, ' ');
  };
  if (value.is_object()) {
    if (value.empty()) {
      out += "{}";
      return;
    }
    std::vector<std::string> keys;
    for (const auto& item : value.items()) keys.push_back(item.key());
    std::sort(keys.begin(), keys.end());
    out += '{';
    for (size_t i = 0; i < keys.size(); ++i) {
      if (i > 0) out += ',';
      newline(depth + 1);
      AppendString(keys[i], out);
      out += ':';
      AppendPython(value.at(keys[i]), depth + 1, out);
    }
    newline(depth);
    out += '}';
  } else if (value.is_array()) {
    if (value.empty()) {
      out += "[]";
      return;
    }
    out += '[';
    for (size_t i = 0; i < value.size(); ++i) {
      if (i > 0) out += ',';
      newline(depth + 1);
      AppendPython(value[i], depth + 1, out);
    }
    newline(depth);
    out += ']';
  } else if (value.is_string()) {
    AppendString(value.get_ref<const std::string&>(), out);
  } else if (value.is_number_float()) {
    // Python's repr: the shortest text that reads back, exponent form below 1e-4 and from 1e16 on.
    const double number = value.get<double>();
    const double magnitude = std::fabs(number);
    std::string text = magnitude != 0 && (magnitude < 1e-4 || magnitude >= 1e16)
                           ? fmt::format("{:e}", number)
                           : fmt::format("{}", number);
    if (text.find('e') != std::string::npos) {
      const std::string shortest = fmt::format("{}", number);
      const size_t exponent_at = shortest.find('e');
      text = exponent_at != std::string::npos ? shortest : text;
    } else if (text.find('.') == std::string::npos) {
      text += ".0";
    }
    out += text;
  } else {
    out += value.dump();
  }
}

}  // namespace

Result<Json> ParseJson(std::string_view text, std::string_view path) {
  Json root;
  StrictBuilder builder(root);
  if (!Json::sax_parse(text.begin(), text.end(), &builder)) {
    const size_t end = std::min(builder.error_byte > 0 ? builder.error_byte - 1 : 0, text.size());
    if (builder.error_byte == 0) return InvalidInput(Location::File(path), builder.problem);
    const auto before = text.substr(0, end);
    const int64_t line = 1 + std::count(before.begin(), before.end(), '\n');
    const size_t line_start =
        before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1;
    return InvalidInput(Location::Line(path, line, static_cast<int64_t>(end - line_start) + 1),
                        builder.problem);
  }
  return root;
}

Result<Json> ReadJsonFile(const std::filesystem::path& path) {
  QEFF_ASSIGN_OR_RETURN(const std::string text, ReadSmallFile(path, size_t{256} << 20));
  return ParseJson(text, path.string());
}

std::string DumpPythonStyle(const Json& value) {
  std::string out;
  AppendPython(value, 0, out);
  return out;
}

std::string DumpPretty(const Json& value) {
  return value.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string DumpText(std::string_view text) {
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

const Json* Find(const Json& object, std::string_view key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(std::string(key));
  return found == object.end() ? nullptr : &*found;
}

}  // namespace qeff
