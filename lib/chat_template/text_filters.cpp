// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Filters on text. Most take any value, as text.
#include <algorithm>

#include "lib/chat_template/filters.h"
#include "lib/chat_template/format.h"
#include "lib/chat_template/interpreter.h"
#include "lib/chat_template/markup.h"
#include "lib/chat_template/operators.h"
#include "lib/chat_template/string_methods.h"
#include "lib/chat_template/unicode_text.h"

namespace qeff::jinja {
namespace {

Result<Value> NoArguments(std::string_view name, const Arguments& arguments, std::string text) {
  QEFF_RETURN_IF_ERROR(BindArguments(name, {}, 0, arguments).status());
  return Value::FromText(std::move(text));
}

Result<Value> FilterUpper(Interpreter& i, const Value& v, const Arguments& a) {
  return NoArguments("upper", a, Upper(i.ToText(v)));
}
Result<Value> FilterLower(Interpreter& i, const Value& v, const Arguments& a) {
  return NoArguments("lower", a, Lower(i.ToText(v)));
}
Result<Value> FilterCapitalize(Interpreter& i, const Value& v, const Arguments& a) {
  return NoArguments("capitalize", a, Capitalize(i.ToText(v)));
}
Result<Value> FilterString(Interpreter& i, const Value& v, const Arguments& a) {
  QEFF_RETURN_IF_ERROR(BindArguments("string", {}, 0, a).status());
  return v.is_text() ? v : Value::FromText(i.ToText(v));
}

/// Words begin after blanks, hyphens and opening brackets; unlike str.title().
Result<Value> FilterTitle(Interpreter& i, const Value& v, const Arguments& a) {
  const std::string text = i.ToText(v);
  std::string out;
  std::string word;
  const auto flush = [&] {
    const size_t first = word.empty() ? 0 : CharacterBytes(word.front());
    out += Upper(std::string_view(word).substr(0, first));
    out += Lower(std::string_view(word).substr(first));
    word.clear();
  };
  bool in_separator = false;
  for (size_t position = 0; position < text.size();) {
    const size_t begin = position;
    const char32_t c = NextCharacter(text, position);
    const bool separates = IsSpace(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
    if (separates != in_separator) flush();
    in_separator = separates;
    word += text.substr(begin, position - begin);
  }
  flush();
  return NoArguments("title", a, std::move(out));
}

Result<Value> FilterTrim(Interpreter& i, const Value& v, const Arguments& a) {
  QEFF_ASSIGN_OR_RETURN(auto bound, BindArguments("trim", {"chars"}, 0, a));
  const std::string text = i.ToText(v);
  if (!bound[0].has_value() || bound[0]->is_none()) {
    return Value::FromText(std::string(Strip(text, Side::kBoth)));
  }
  if (!bound[0]->is_text()) return OperationError("trim() expects characters as a string");
  return Value::FromText(std::string(Strip(text, bound[0]->text(), Side::kBoth)));
}

Result<Value> FilterReplace(Interpreter& i, const Value& v, const Arguments& a) {
  QEFF_ASSIGN_OR_RETURN(auto bound, BindArguments("replace", {"old", "new", "count"}, 2, a));
  int64_t limit = -1;
  if (bound[2].has_value() && !bound[2]->is_none()) {
    QEFF_ASSIGN_OR_RETURN(limit, ToCount(*bound[2]));
  }
  return Value::FromText(
      Replace(i.ToText(v), i.ToText(*bound[0]), i.ToText(*bound[1]), limit, i.budget()));
}

Result<Value> FilterIndent(Interpreter& i, const Value& v, const Arguments& a) {
  QEFF_ASSIGN_OR_RETURN(auto bound, BindArguments("indent", {"width", "first", "blank"}, 0, a));
  if (v.is_undefined()) return UndefinedError(v);
  if (!v.is_text()) {
    return OperationError(
        fmt::format("unsupported operand type(s) for +=: '{}' and 'str'", v.TypeName()));
  }
  std::string margin(4, ' ');
  if (bound[0].has_value() && bound[0]->is_text()) {
    margin = bound[0]->text();
  } else if (bound[0].has_value()) {
    QEFF_ASSIGN_OR_RETURN(const int64_t width, ToCount(*bound[0]));
    const auto blanks = static_cast<size_t>(std::max<int64_t>(width, 0));
    if (!i.budget().Reserve(blanks)) return Value();
    margin.assign(blanks, ' ');
  }
  const bool indents_first = bound[1].has_value() && bound[1]->IsTrue();
  const bool indents_blank = bound[2].has_value() && bound[2]->IsTrue();
  const std::vector<std::string> lines = SplitLines(v.text() + "\n", LineEnds::kDrop);
  std::string out;
  for (size_t line = 0; line < lines.size(); ++line) {
    if (!i.budget().Reserve(margin.size() + lines[line].size() + 1)) return Value();
    if (line > 0) out += '\n';
    const bool indents = line == 0 ? indents_first : indents_blank || !lines[line].empty();
    if (indents) out += margin;
    out += lines[line];
  }
  return v.is_markup() ? Value::FromMarkup(std::move(out)) : Value::FromText(std::move(out));
}

Result<Value> FilterCenter(Interpreter& i, const Value& v, const Arguments& a) {
  QEFF_ASSIGN_OR_RETURN(auto bound, BindArguments("center", {"width"}, 0, a));
  int64_t width = 80;
  if (bound[0].has_value()) {
    QEFF_ASSIGN_OR_RETURN(width, ToCount(*bound[0]));
  }
  return Value::FromText(Pad(i.ToText(v), width, " ", Alignment::kCenter, i.budget()));
}

Result<Value> FilterFormat(Interpreter& i, const Value& v, const Arguments& a) {
  if (!a.positional.empty() && !a.keywords.empty()) {
    return OperationError("can't handle positional and keyword arguments at the same time");
  }
  const Value format = v.is_text() ? v : Value::FromText(i.ToText(v));
  if (a.keywords.empty()) return FormatPercent(format, Value::FromTuple(a.positional), i.budget());
  Dictionary values;
  for (const auto& [name, value] : a.keywords) values.Set(Value::FromText(name), value);
  return FormatPercent(format, Value::FromDictionary(std::move(values)), i.budget());
}

Result<Value> FilterTruncate(Interpreter& i, const Value& v, const Arguments& a) {
  QEFF_ASSIGN_OR_RETURN(auto bound,
                        BindArguments("truncate", {"length", "killwords", "end", "leeway"}, 0, a));
  int64_t length = 255;
  int64_t leeway = 5;
  if (bound[0].has_value()) {
    QEFF_ASSIGN_OR_RETURN(length, ToCount(*bound[0]));
  }
  if (bound[3].has_value() && !bound[3]->is_none()) {
    QEFF_ASSIGN_OR_RETURN(leeway, ToCount(*bound[3]));
  }
  const std::string end = bound[2].has_value() ? i.ToText(*bound[2]) : "...";
  const auto end_length = static_cast<int64_t>(CountCharacters(end));
  if (length < end_length || leeway < 0) {
    return OperationError(fmt::format(
        "truncate() expects a length of at least {} and a leeway of at least 0", end_length));
  }
  if (v.is_undefined()) return Value::FromText("");
  if (!v.is_text()) return OperationError("truncate() expects a string");
  const std::string& text = v.text();
  const auto characters = static_cast<int64_t>(CountCharacters(text));
  if (characters <= leeway || characters - leeway <= length) return v;
  std::string cut = text.substr(0, ByteOffset(text, static_cast<size_t>(length - end_length)));
  const bool kills_words = bound[1].has_value() && bound[1]->IsTrue();
  if (const size_t blank = cut.rfind(' '); !kills_words && blank != std::string::npos) {
    cut.resize(blank);
  }
  return Value::FromText(cut + end);
}

Result<Value> FilterWordCount(Interpreter& i, const Value& v, const Arguments& a) {
  QEFF_RETURN_IF_ERROR(BindArguments("wordcount", {}, 0, a).status());
  const std::string text = i.ToText(v);
  int64_t count = 0;
  bool in_word = false;
  for (size_t position = 0; position < text.size();) {
    const char32_t c = NextCharacter(text, position);
    const bool is_word = IsAlpha(c) || IsNumericCharacter(c) || c == '_';
    if (is_word && !in_word) ++count;
    in_word = is_word;
  }
  return Value::FromInteger(count);
}

Result<Value> FilterSafe(Interpreter& i, const Value& v, const Arguments& a) {
  QEFF_RETURN_IF_ERROR(BindArguments("safe", {}, 0, a).status());
  return Value::FromMarkup(i.ToText(v));
}
Result<Value> FilterEscape(Interpreter& i, const Value& v, const Arguments& a) {
  QEFF_RETURN_IF_ERROR(BindArguments("escape", {}, 0, a).status());
  return v.is_markup() ? v : Value::FromMarkup(EscapeHtml(i.ToText(v)));
}
Result<Value> FilterForceEscape(Interpreter& i, const Value& v, const Arguments& a) {
  QEFF_RETURN_IF_ERROR(BindArguments("forceescape", {}, 0, a).status());
  return Value::FromMarkup(EscapeHtml(i.ToText(v)));
}

Result<Value> FilterStripTags(Interpreter& i, const Value& v, const Arguments& a) {
  QEFF_RETURN_IF_ERROR(BindArguments("striptags", {}, 0, a).status());
  std::string text = i.ToText(v);
  const auto remove = [&](std::string_view open, std::string_view close) {
    std::string kept;
    size_t position = 0;
    for (size_t begin; (begin = text.find(open, position)) != std::string::npos;) {
      const size_t end = text.find(close, begin);
      if (end == std::string::npos) break;
      kept += text.substr(position, begin - position);
      position = end + close.size();
    }
    text = kept + text.substr(position);
  };
  remove("<!--", "-->");
  remove("<", ">");
  std::string out;
  for (const std::string& character : Characters(text)) {
    size_t position = 0;
    if (IsSpace(NextCharacter(character, position))) {
      if (!out.empty() && out.back() != ' ') out += ' ';
    } else {
      out += character;
    }
  }
  if (out.ends_with(' ')) out.pop_back();
  static constexpr std::pair<std::string_view, std::string_view> kReferences[] = {
      {"&lt;", "<"},  {"&gt;", ">"},   {"&quot;", "\""},     {"&#34;", "\""},
      {"&#39;", "'"}, {"&apos;", "'"}, {"&nbsp;", "\u00A0"}, {"&amp;", "&"}};
  for (const auto& [reference, meaning] : kReferences) {
    out = Replace(out, reference, meaning, -1, i.budget());
  }
  return Value::FromText(std::move(out));
}

std::string UrlEncode(std::string_view text, std::string_view safe) {
  std::string out;
  for (const char c : text) {
    const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          (c >= '0' && c <= '9') || safe.find(c) != std::string_view::npos;
    if (is_plain) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

Result<Value> FilterUrlEncode(Interpreter& i, const Value& v, const Arguments& a) {
  QEFF_RETURN_IF_ERROR(BindArguments("urlencode", {}, 0, a).status());
  constexpr std::string_view kSafe = "_.-~/";
  if (v.is_text() || !IsIterable(v)) return Value::FromText(UrlEncode(i.ToText(v), kSafe));
  std::vector<Value> pairs;
  if (const Dictionary* dictionary = v.dictionary()) {
    for (const auto& [key, value] : dictionary->entries()) {
      pairs.push_back(Value::FromTuple({key, value}));
    }
  } else {
    QEFF_ASSIGN_OR_RETURN(pairs, Items(v));
  }
  std::string out;
  for (const Value& pair : pairs) {
    QEFF_ASSIGN_OR_RETURN(const std::vector<Value> parts, Items(pair));
    if (parts.size() != 2) return OperationError("urlencode() expects pairs");
    if (!out.empty()) out += '&';
    for (size_t part = 0; part < 2; ++part) {
      std::string encoded = UrlEncode(i.ToText(parts[part]), "_.-~");
      out += Replace(encoded, "%20", "+", -1, i.budget());
      if (part == 0) out += '=';
    }
  }
  return Value::FromText(std::move(out));
}

Result<Value> FilterXmlAttributes(Interpreter& i, const Value& v, const Arguments& a) {
  QEFF_ASSIGN_OR_RETURN(auto bound, BindArguments("xmlattr", {"autospace"}, 0, a));
  if (v.dictionary() == nullptr) return OperationError("xmlattr() expects a mapping");
  std::string out;
  for (const auto& [key, value] : v.dictionary()->entries()) {
    if (value.is_none() || value.is_undefined()) continue;
    const std::string name = i.ToText(key);
    if (name.find_first_of(" \t\n\f\r/>=") != std::string::npos) {
      return OperationError(fmt::format("invalid character in attribute name: '{}'", name));
    }
    if (!out.empty()) out += ' ';
    out += fmt::format("{}=\"{}\"", EscapeHtml(name), EscapeHtml(i.ToText(value)));
  }
  const bool has_space = !bound[0].has_value() || bound[0]->IsTrue();
  return Value::FromText(has_space && !out.empty() ? " " + out : out);
}

constexpr FilterEntry kFilters[] = {
    {"capitalize", FilterCapitalize},
    {"center", FilterCenter},
    {"e", FilterEscape},
    {"escape", FilterEscape},
    {"forceescape", FilterForceEscape},
    {"format", FilterFormat},
    {"indent", FilterIndent},
    {"lower", FilterLower},
    {"replace", FilterReplace},
    {"safe", FilterSafe},
    {"string", FilterString},
    {"striptags", FilterStripTags},
    {"title", FilterTitle},
    {"trim", FilterTrim},
    {"truncate", FilterTruncate},
    {"upper", FilterUpper},
    {"urlencode", FilterUrlEncode},
    {"wordcount", FilterWordCount},
    {"xmlattr", FilterXmlAttributes},
};

}  // namespace

std::span<const FilterEntry> TextFilters() { return kFilters; }

}  // namespace qeff::jinja
