// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/chat_template/value_text.h"

#include <algorithm>
#include <cmath>

#include "lib/chat_template/operators.h"
#include "lib/chat_template/unicode_text.h"

namespace qeff::jinja {
namespace {

void AppendTextRepresentation(std::string_view text, std::string& out) {
  const bool has_single = text.find('\'') != std::string_view::npos;
  const char quote = has_single && text.find('"') == std::string_view::npos ? '"' : '\'';
  out += quote;
  for (size_t position = 0; position < text.size();) {
    const char32_t c = NextCharacter(text, position);
    if (c == static_cast<char32_t>(quote) || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (IsPrintable(c)) {
      AppendCharacter(c, out);
    } else if (c <= 0xFF) {
      out += fmt::format("\\x{:02x}", static_cast<uint32_t>(c));
    } else if (c <= 0xFFFF) {
      out += fmt::format("\\u{:04x}", static_cast<uint32_t>(c));
    } else {
      out += fmt::format("\\U{:08x}", static_cast<uint32_t>(c));
    }
  }
  out += quote;
}

void AppendRepresentation(const Value& value, Budget& budget, std::string& out);

void AppendItems(const std::vector<Value>& items, Budget& budget, std::string& out) {
  for (size_t i = 0; i < items.size(); ++i) {
    if (i != 0) out += ", ";
    AppendRepresentation(items[i], budget, out);
    if (budget.exhausted() != Budget::Limit::kNone) return;
  }
}

void AppendRepresentation(const Value& value, Budget& budget, std::string& out) {
  const size_t before = out.size();
  if (!budget.Work(1)) return;
  if (value.is_text()) {
    if (!budget.Reserve(value.text().size())) return;
    if (value.is_markup()) out += "Markup(";
    AppendTextRepresentation(value.text(), out);
    if (value.is_markup()) out += ")";
  } else if (const Sequence* sequence = value.sequence()) {
    out += sequence->is_tuple ? '(' : '[';
    AppendItems(sequence->items, budget, out);
    if (sequence->is_tuple && sequence->items.size() == 1) out += ',';
    out += sequence->is_tuple ? ')' : ']';
  } else if (const Dictionary* dictionary = value.dictionary()) {
    out += '{';
    bool is_first = true;
    for (const auto& [key, item] : dictionary->entries()) {
      if (!is_first) out += ", ";
      is_first = false;
      AppendRepresentation(key, budget, out);
      out += ": ";
      AppendRepresentation(item, budget, out);
      if (budget.exhausted() != Budget::Limit::kNone) return;
    }
    out += '}';
  } else if (value.is_undefined()) {
    out += "Undefined";
  } else if (value.object() != nullptr) {
    // A namespace can hold itself.
    const Budget::NestingScope nesting(budget);
    if (nesting.is_allowed()) out += value.object()->Represent(budget);
  } else {
    out += ToText(value, budget);
  }
  budget.Reserve(out.size() - before);
}

void AppendJsonText(std::string_view text, bool escapes_non_ascii, std::string& out) {
  out += '"';
  for (size_t position = 0; position < text.size();) {
    const char32_t c = NextCharacter(text, position);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\f') {
      out += "\\f";
    } else if (c == '\b') {
      out += "\\b";
    } else if (c < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<uint32_t>(c));
    } else if (!escapes_non_ascii || c < 0x7F) {
      AppendCharacter(c, out);
    } else if (c <= 0xFFFF) {
      out += fmt::format("\\u{:04x}", static_cast<uint32_t>(c));
    } else {
      const uint32_t rest = static_cast<uint32_t>(c) - 0x10000;
      out += fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + (rest >> 10), 0xDC00 + (rest & 0x3FF));
    }
  }
  out += '"';
}

std::string JsonFloat(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  return FloatText(value);
}

class JsonWriter {
 public:
  JsonWriter(const JsonStyle& style, Budget& budget) : style_(style), budget_(budget) {}

  Status Write(const Value& value, int level) {
    const size_t before = out_.size();
    if (!budget_.Work(1)) return Status::Ok();
    if (value.is_none()) {
      out_ += "null";
    } else if (value.is_bool()) {
      out_ += value.integer() != 0 ? "true" : "false";
    } else if (value.is_integer()) {
      out_ += fmt::format("{}", value.integer());
    } else if (value.is_float()) {
      out_ += JsonFloat(value.number());
    } else if (value.is_text()) {
      if (!budget_.Reserve(value.text().size())) return Status::Ok();
      AppendJsonText(value.text(), style_.escapes_non_ascii, out_);
    } else if (value.sequence() != nullptr) {
      return WriteItems(value.sequence()->items, level);
    } else if (value.dictionary() != nullptr) {
      return WriteEntries(*value.dictionary(), level);
    } else {
      return OperationError(
          fmt::format("Object of type {} is not JSON serializable", value.TypeName()));
    }
    budget_.Reserve(out_.size() - before);
    return Status::Ok();
  }

  std::string Take() { return std::move(out_); }

 private:
  void StartLine(int level) {
    if (!style_.indent.has_value()) return;
    if (!budget_.Reserve(static_cast<size_t>(level), style_.indent->size())) return;
    out_ += '\n';
    for (int i = 0; i < level; ++i) out_ += *style_.indent;
  }

  Status WriteItems(const std::vector<Value>& items, int level) {
    if (items.empty()) {
      out_ += "[]";
      return Status::Ok();
    }
    out_ += '[';
    for (size_t i = 0; i < items.size(); ++i) {
      if (i != 0) out_ += style_.item_separator;
      if (!budget_.Reserve(style_.item_separator.size())) return Status::Ok();
      StartLine(level + 1);
      QEFF_RETURN_IF_ERROR(Write(items[i], level + 1));
    }
    StartLine(level);
    out_ += ']';
    return Status::Ok();
  }

  Status WriteKey(const Value& key) {
    if (key.is_text()) {
      return Write(key, 0);
    }
    if (key.is_none()) {
      out_ += "\"null\"";
    } else if (key.is_bool()) {
      out_ += key.integer() != 0 ? "\"true\"" : "\"false\"";
    } else if (key.is_integer()) {
      out_ += fmt::format("\"{}\"", key.integer());
    } else if (key.is_float()) {
      out_ += "\"" + JsonFloat(key.number()) + "\"";
    } else {
      return OperationError(
          fmt::format("keys must be str, int, float, bool or None, not {}", key.TypeName()));
    }
    return Status::Ok();
  }

  Status WriteEntries(const Dictionary& dictionary, int level) {
    if (dictionary.size() == 0) {
      out_ += "{}";
      return Status::Ok();
    }
    std::vector<std::pair<Value, Value>> sorted;
    if (style_.sorts_keys) {
      sorted = dictionary.entries();
      QEFF_RETURN_IF_ERROR(SortBy(
          sorted, [](const auto& entry) -> const Value& { return entry.first; }, budget_));
    }
    out_ += '{';
    bool is_first = true;
    for (const auto& [key, item] : style_.sorts_keys ? sorted : dictionary.entries()) {
      if (!is_first) out_ += style_.item_separator;
      is_first = false;
      if (!budget_.Reserve(style_.item_separator.size() + style_.key_separator.size())) {
        return Status::Ok();
      }
      StartLine(level + 1);
      QEFF_RETURN_IF_ERROR(WriteKey(key));
      out_ += style_.key_separator;
      QEFF_RETURN_IF_ERROR(Write(item, level + 1));
    }
    StartLine(level);
    out_ += '}';
    return Status::Ok();
  }

  const JsonStyle& style_;
  Budget& budget_;
  std::string out_;
};

}  // namespace

std::string FloatText(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::string Represent(const Value& value, Budget& budget) {
  std::string out;
  AppendRepresentation(value, budget, out);
  return out;
}

std::string ToText(const Value& value, Budget& budget) {
  if (value.is_text()) return value.text();
  if (value.is_undefined()) return {};
  if (value.is_none()) return "None";
  if (value.is_bool()) return value.integer() != 0 ? "True" : "False";
  if (value.is_integer()) return fmt::format("{}", value.integer());
  if (value.is_float()) return FloatText(value.number());
  return Represent(value, budget);
}

Result<std::string> ToJson(const Value& value, const JsonStyle& style, Budget& budget) {
  JsonWriter writer(style, budget);
  QEFF_RETURN_IF_ERROR(writer.Write(value, 0));
  return writer.Take();
}

}  // namespace qeff::jinja
