// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/chat_template/string_methods.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/chat_template/format.h"
#include "lib/chat_template/interpreter.h"
#include "lib/chat_template/operators.h"
#include "lib/chat_template/unicode_text.h"

namespace qeff::jinja {
namespace {

using MethodResult = Result<Value>;

/// Text that a method made out of `self` stays markup.
Value Like(const Value& self, std::string text) {
  return self.is_markup() ? Value::FromMarkup(std::move(text)) : Value::FromText(std::move(text));
}

Result<std::string> TextArgument(const Value& value) {
  if (value.is_text()) return value.text();
  if (value.is_undefined()) return UndefinedError(value);
  return OperationError(fmt::format("must be str, not {}", value.TypeName()));
}

template <std::string (*kMap)(std::string_view)>
MethodResult Mapped(Interpreter& interpreter, const Value& self, const Arguments& arguments) {
  QEFF_RETURN_IF_ERROR(BindArguments("str method", {}, 0, arguments).status());
  interpreter.budget().Reserve(self.text().size());
  return Like(self, kMap(self.text()));
}

template <Side kSide>
MethodResult Stripped(Interpreter&, const Value& self, const Arguments& arguments) {
  QEFF_ASSIGN_OR_RETURN(auto bound, BindArguments("strip", {"/chars"}, 0, arguments));
  if (!bound[0].has_value() || bound[0]->is_none()) {
    return Like(self, std::string(Strip(self.text(), kSide)));
  }
  QEFF_ASSIGN_OR_RETURN(const std::string set, TextArgument(*bound[0]));
  return Like(self, std::string(Strip(self.text(), set, kSide)));
}

/// True if every character is of the class and there is one.
template <bool (*kIs)(char32_t)>
MethodResult AllAre(Interpreter&, const Value& self, const Arguments&) {
  const std::string& text = self.text();
  bool holds = !text.empty();
  for (size_t position = 0; position < text.size() && holds;) {
    holds = kIs(NextCharacter(text, position));
  }
  return Value::FromBool(holds);
}

bool IsAlphaOrNumber(char32_t c) {
  return IsAlpha(c) || IsDecimal(c) || IsDigit(c) || IsNumericCharacter(c);
}

bool IsTitleText(std::string_view text) {
  bool follows_cased = false;
  bool has_cased = false;
  for (size_t position = 0; position < text.size();) {
    const char32_t c = NextCharacter(text, position);
    const bool is_upper = IsUpperCharacter(c) || IsTitleCharacter(c);
    if (is_upper && follows_cased) return false;
    if (!is_upper && IsLowerCharacter(c) && !follows_cased) return false;
    follows_cased = IsCased(c);
    has_cased = has_cased || follows_cased;
  }
  return has_cased;
}

bool IsIdentifier(std::string_view text) {
  size_t position = 0;
  if (text.empty() || !IsIdentifierStart(NextCharacter(text, position))) return false;
  while (position < text.size()) {
    if (!IsIdentifierPart(NextCharacter(text, position))) return false;
  }
  return true;
}

bool IsPrintableText(std::string_view text) {
  for (size_t position = 0; position < text.size();) {
    if (!IsPrintable(NextCharacter(text, position))) return false;
  }
  return true;
}

template <bool (*kIs)(std::string_view)>
MethodResult TextIs(Interpreter&, const Value& self, const Arguments&) {
  return Value::FromBool(kIs(self.text()));
}

/// The part of a text that optional start and end arguments name.
struct Window {
  std::string_view text;
  int64_t start_characters = 0;
  bool is_beyond = false;  ///< start lies behind the text
};

Result<Window> MakeWindow(const std::string& text, const std::optional<Value>& start,
                          const std::optional<Value>& end) {
  const auto length = static_cast<int64_t>(CountCharacters(text));
  int64_t bounds[2] = {0, length};
  const std::optional<Value>* const given[] = {&start, &end};
  for (size_t i = 0; i < 2; ++i) {
    if (!given[i]->has_value() || (*given[i])->is_none()) continue;
    QEFF_ASSIGN_OR_RETURN(int64_t bound, ToCount(**given[i]));
    if (bound < 0) bound = std::max<int64_t>(0, bound + length);
    bounds[i] = bound;
  }
  if (bounds[0] > length || bounds[0] > bounds[1]) return Window{.is_beyond = true};
  const size_t begin = ByteOffset(text, static_cast<size_t>(bounds[0]));
  const size_t stop = ByteOffset(text, static_cast<size_t>(std::min(bounds[1], length)));
  return Window{std::string_view(text).substr(begin, stop - begin), bounds[0], false};
}

Result<bool> HasAffix(std::string_view text, const Value& affix, bool is_prefix) {
  if (affix.is_tuple()) {
    for (const Value& one : affix.sequence()->items) {
      QEFF_ASSIGN_OR_RETURN(const bool has, HasAffix(text, one, is_prefix));
      if (has) return true;
    }
    return false;
  }
  if (!affix.is_text()) {
    return OperationError(fmt::format("{} first arg must be str or a tuple of str, not {}",
                                      is_prefix ? "startswith" : "endswith", affix.TypeName()));
  }
  return is_prefix ? text.starts_with(affix.text()) : text.ends_with(affix.text());
}

template <bool kIsPrefix>
MethodResult Affix(Interpreter&, const Value& self, const Arguments& arguments) {
  QEFF_ASSIGN_OR_RETURN(auto bound, BindArguments(kIsPrefix ? "startswith" : "endswith",
                                                  {"/affix", "/start", "/end"}, 1, arguments));
  QEFF_ASSIGN_OR_RETURN(const Window window, MakeWindow(self.text(), bound[1], bound[2]));
  QEFF_ASSIGN_OR_RETURN(const bool has, HasAffix(window.text, *bound[0], kIsPrefix));
  return Value::FromBool(has && !window.is_beyond);
}

template <bool kFromRight, bool kMustBeThere>
MethodResult Find(Interpreter&, const Value& self, const Arguments& arguments) {
  QEFF_ASSIGN_OR_RETURN(auto bound,
                        BindArguments("find", {"/sub", "/start", "/end"}, 1, arguments));
  QEFF_ASSIGN_OR_RETURN(const std::string sub, TextArgument(*bound[0]));
  QEFF_ASSIGN_OR_RETURN(const Window window, MakeWindow(self.text(), bound[1], bound[2]));
  const size_t at = window.is_beyond ? std::string_view::npos
                    : kFromRight     ? window.text.rfind(sub)
                                     : window.text.find(sub);
  if (at == std::string_view::npos) {
    if (kMustBeThere) return OperationError("substring not found");
    return Value::FromInteger(-1);
  }
  const auto characters = static_cast<int64_t>(CountCharacters(window.text.substr(0, at)));
  return Value::FromInteger(window.start_characters + characters);
}

MethodResult Count(Interpreter&, const Value& self, const Arguments& arguments) {
  QEFF_ASSIGN_OR_RETURN(auto bound,
                        BindArguments("count", {"/sub", "/start", "/end"}, 1, arguments));
  QEFF_ASSIGN_OR_RETURN(const std::string sub, TextArgument(*bound[0]));
  QEFF_ASSIGN_OR_RETURN(const Window window, MakeWindow(self.text(), bound[1], bound[2]));
  if (window.is_beyond) return Value::FromInteger(0);
  if (sub.empty()) {
    return Value::FromInteger(static_cast<int64_t>(CountCharacters(window.text)) + 1);
  }
  int64_t count = 0;
  for (size_t at = 0; (at = window.text.find(sub, at)) != std::string_view::npos;
       at += sub.size()) {
    ++count;
  }
  return Value::FromInteger(count);
}

Value TextList(const Value& self, const std::vector<std::string_view>& parts, Budget& budget) {
  std::vector<Value> items;
  if (!budget.Reserve(parts.size() * sizeof(Value) + self.text().size())) return Value();
  for (const std::string_view part : parts) items.push_back(Like(self, std::string(part)));
  return Value::FromList(std::move(items));
}

/// Words between white space, at most `limit` cuts; the rest stays whole.
std::vector<std::string_view> SplitWords(std::string_view text, int64_t limit, bool from_right) {
  std::vector<std::string_view> words;
  const Side near = from_right ? Side::kRight : Side::kLeft;
  for (text = Strip(text, near); !text.empty(); text = Strip(text, near)) {
    if (limit >= 0 && std::ssize(words) == limit) {
      words.push_back(
          Strip(text, from_right ? Side::kLeft : Side::kRight).empty() ? text : Strip(text, near));
      break;
    }
    size_t cut = from_right ? 0 : text.size();
    for (size_t position = 0; position < text.size();) {
      const size_t begin = position;
      if (!IsSpace(NextCharacter(text, position))) continue;
      if (!from_right) {
        cut = begin;
        break;
      }
      cut = position;
    }
    words.push_back(from_right ? text.substr(cut) : text.substr(0, cut));
    text = from_right ? text.substr(0, cut) : text.substr(cut);
  }
  if (from_right) std::ranges::reverse(words);
  return words;
}

std::vector<std::string_view> SplitAt(std::string_view text, std::string_view separator,
                                      int64_t limit, bool from_right) {
  std::vector<std::string_view> parts;
  while (limit < 0 || std::ssize(parts) < limit) {
    const size_t at = from_right ? text.rfind(separator) : text.find(separator);
    if (at == std::string_view::npos) break;
    parts.push_back(from_right ? text.substr(at + separator.size()) : text.substr(0, at));
    text = from_right ? text.substr(0, at) : text.substr(at + separator.size());
  }
  parts.push_back(text);
  if (from_right) std::ranges::reverse(parts);
  return parts;
}

template <bool kFromRight>
MethodResult Split(Interpreter& interpreter, const Value& self, const Arguments& arguments) {
  QEFF_ASSIGN_OR_RETURN(auto bound, BindArguments("split", {"sep", "maxsplit"}, 0, arguments));
  int64_t limit = -1;
  if (bound[1].has_value()) {
    QEFF_ASSIGN_OR_RETURN(limit, ToCount(*bound[1]));
  }
  if (!bound[0].has_value() || bound[0]->is_none()) {
    // From the right, every word looks through what is left of it.
    const size_t looks = kFromRight ? self.text().size() * self.text().size() / 64 : 0;
    if (!interpreter.budget().Work(looks)) return Value();
    return TextList(self, SplitWords(self.text(), limit, kFromRight), interpreter.budget());
  }
  QEFF_ASSIGN_OR_RETURN(const std::string separator, TextArgument(*bound[0]));
  if (separator.empty()) return OperationError("empty separator");
  return TextList(self, SplitAt(self.text(), separator, limit, kFromRight), interpreter.budget());
}

MethodResult SplitLinesMethod(Interpreter& interpreter, const Value& self,
                              const Arguments& arguments) {
  QEFF_ASSIGN_OR_RETURN(auto bound, BindArguments("splitlines", {"keepends"}, 0, arguments));
  const bool keeps = bound[0].has_value() && bound[0]->IsTrue();
  std::vector<Value> lines;
  for (std::string& line : SplitLines(self.text(), keeps ? LineEnds::kKeep : LineEnds::kDrop)) {
    lines.push_back(Like(self, std::move(line)));
  }
  interpreter.budget().Reserve(self.text().size() + lines.size() * sizeof(Value));
  return Value::FromList(std::move(lines));
}

template <bool kFromRight>
MethodResult Partition(Interpreter&, const Value& self, const Arguments& arguments) {
  QEFF_ASSIGN_OR_RETURN(auto bound, BindArguments("partition", {"/sep"}, 1, arguments));
  QEFF_ASSIGN_OR_RETURN(const std::string separator, TextArgument(*bound[0]));
  if (separator.empty()) return OperationError("empty separator");
  const std::string& text = self.text();
  const size_t at = kFromRight ? text.rfind(separator) : text.find(separator);
  const Value empty = Value::FromText("");
  if (at == std::string::npos) {
    return kFromRight ? Value::FromTuple({empty, empty, self})
                      : Value::FromTuple({self, empty, empty});
  }
  return Value::FromTuple({Value::FromText(text.substr(0, at)), Value::FromText(separator),
                           Value::FromText(text.substr(at + separator.size()))});
}

MethodResult ReplaceMethod(Interpreter& interpreter, const Value& self,
                           const Arguments& arguments) {
  if (!arguments.keywords.empty()) {
    return OperationError("str.replace() takes no keyword arguments");
  }
  QEFF_ASSIGN_OR_RETURN(auto bound,
                        BindArguments("replace", {"/old", "/new", "/count"}, 2, arguments));
  QEFF_ASSIGN_OR_RETURN(const std::string from, TextArgument(*bound[0]));
  QEFF_ASSIGN_OR_RETURN(const std::string to, TextArgument(*bound[1]));
  int64_t limit = -1;
  if (bound[2].has_value()) {
    QEFF_ASSIGN_OR_RETURN(limit, ToCount(*bound[2]));
  }
  return Like(self, Replace(self.text(), from, to, limit, interpreter.budget()));
}

template <bool kIsPrefix>
MethodResult RemoveAffix(Interpreter&, const Value& self, const Arguments& arguments) {
  QEFF_ASSIGN_OR_RETURN(auto bound, BindArguments("removeprefix", {"/affix"}, 1, arguments));
  QEFF_ASSIGN_OR_RETURN(const std::string affix, TextArgument(*bound[0]));
  const std::string& text = self.text();
  const bool has = kIsPrefix ? text.starts_with(affix) : text.ends_with(affix);
  if (!has) return self;
  return Like(self,
              kIsPrefix ? text.substr(affix.size()) : text.substr(0, text.size() - affix.size()));
}

MethodResult Join(Interpreter& interpreter, const Value& self, const Arguments& arguments) {
  QEFF_ASSIGN_OR_RETURN(auto bound, BindArguments("join", {"/iterable"}, 1, arguments));
  QEFF_ASSIGN_OR_RETURN(const std::vector<Value> items, Items(*bound[0]));
  std::string out;
  for (size_t i = 0; i < items.size(); ++i) {
    if (!items[i].is_text()) {
      return OperationError(
          fmt::format("sequence item {}: expected str instance, {} found", i, items[i].TypeName()));
    }
    if (!interpreter.budget().Reserve(self.text().size() + items[i].text().size())) return Value();
    if (i != 0) out += self.text();
    out += items[i].text();
  }
  return Like(self, std::move(out));
}

template <Alignment kAlignment>
MethodResult Padded(Interpreter& interpreter, const Value& self, const Arguments& arguments) {
  QEFF_ASSIGN_OR_RETURN(auto bound, BindArguments("center", {"/width", "/fillchar"}, 1, arguments));
  QEFF_ASSIGN_OR_RETURN(const int64_t width, ToCount(*bound[0]));
  std::string fill = " ";
  if (bound[1].has_value()) {
    QEFF_ASSIGN_OR_RETURN(fill, TextArgument(*bound[1]));
  }
  if (CountCharacters(fill) != 1) {
    return OperationError("the fill character must be exactly one character long");
  }
  return Like(self, Pad(self.text(), width, fill, kAlignment, interpreter.budget()));
}

MethodResult ZeroFill(Interpreter& interpreter, const Value& self, const Arguments& arguments) {
  QEFF_ASSIGN_OR_RETURN(auto bound, BindArguments("zfill", {"/width"}, 1, arguments));
  QEFF_ASSIGN_OR_RETURN(const int64_t width, ToCount(*bound[0]));
  const std::string& text = self.text();
  const bool has_sign = text.starts_with('+') || text.starts_with('-');
  std::string filled =
      Pad(std::string_view(text).substr(has_sign ? 1 : 0), has_sign ? width - 1 : width, "0",
          Alignment::kRight, interpreter.budget());
  return Like(self, has_sign ? text.front() + filled : filled);
}

MethodResult ExpandTabs(Interpreter& interpreter, const Value& self, const Arguments& arguments) {
  QEFF_ASSIGN_OR_RETURN(auto bound, BindArguments("expandtabs", {"tabsize"}, 0, arguments));
  int64_t width = 8;
  if (bound[0].has_value()) {
    QEFF_ASSIGN_OR_RETURN(width, ToCount(*bound[0]));
  }
  std::string out;
  int64_t column = 0;
  for (const std::string& character : Characters(self.text())) {
    if (character == "\t") {
      const int64_t blanks = width > 0 ? width - column % width : 0;
      if (!interpreter.budget().Reserve(static_cast<size_t>(blanks))) return Value();
      out.append(static_cast<size_t>(blanks), ' ');
      column += blanks;
    } else {
      out += character;
      column = character == "\n" || character == "\r" ? 0 : column + 1;
    }
  }
  return Like(self, std::move(out));
}

MethodResult FormatMap(Interpreter& interpreter, const Value& self, const Arguments& arguments) {
  QEFF_ASSIGN_OR_RETURN(auto bound, BindArguments("format_map", {"/mapping"}, 1, arguments));
  if (bound[0]->dictionary() == nullptr) return OperationError("expected a mapping");
  Arguments named;
  for (const auto& [key, value] : bound[0]->dictionary()->entries()) {
    if (key.is_text()) named.keywords.emplace_back(key.text(), value);
  }
  return FormatBraces(interpreter, self, named);
}

struct MethodEntry {
  std::string_view name;
  Function::Body body;
};

constexpr MethodEntry kMethods[] = {
    {"capitalize", Mapped<Capitalize>},
    {"casefold", Mapped<CaseFold>},
    {"center", Padded<Alignment::kCenter>},
    {"count", Count},
    {"endswith", Affix<false>},
    {"expandtabs", ExpandTabs},
    {"find", Find<false, false>},
    {"format", FormatBraces},
    {"format_map", FormatMap},
    {"index", Find<false, true>},
    {"isalnum", AllAre<IsAlphaOrNumber>},
    {"isalpha", AllAre<IsAlpha>},
    {"isascii", TextIs<IsAscii>},
    {"isdecimal", AllAre<IsDecimal>},
    {"isdigit", AllAre<IsDigit>},
    {"isidentifier", TextIs<IsIdentifier>},
    {"islower", TextIs<IsLowerText>},
    {"isnumeric", AllAre<IsNumericCharacter>},
    {"isprintable", TextIs<IsPrintableText>},
    {"isspace", AllAre<IsSpace>},
    {"istitle", TextIs<IsTitleText>},
    {"isupper", TextIs<IsUpperText>},
    {"join", Join},
    {"ljust", Padded<Alignment::kLeft>},
    {"lower", Mapped<Lower>},
    {"lstrip", Stripped<Side::kLeft>},
    {"partition", Partition<false>},
    {"removeprefix", RemoveAffix<true>},
    {"removesuffix", RemoveAffix<false>},
    {"replace", ReplaceMethod},
    {"rfind", Find<true, false>},
    {"rindex", Find<true, true>},
    {"rjust", Padded<Alignment::kRight>},
    {"rpartition", Partition<true>},
    {"rsplit", Split<true>},
    {"rstrip", Stripped<Side::kRight>},
    {"split", Split<false>},
    {"splitlines", SplitLinesMethod},
    {"startswith", Affix<true>},
    {"strip", Stripped<Side::kBoth>},
    {"swapcase", Mapped<SwapCase>},
    {"title", Mapped<Title>},
    {"upper", Mapped<Upper>},
    {"zfill", ZeroFill},
};

bool HasOnlyCase(std::string_view text, bool (*is_case)(char32_t), bool (*is_other)(char32_t)) {
  bool has_cased = false;
  for (size_t position = 0; position < text.size();) {
    const char32_t c = NextCharacter(text, position);
    if (is_other(c) || IsTitleCharacter(c)) return false;
    has_cased = has_cased || is_case(c);
  }
  return has_cased;
}

}  // namespace

Function::Body FindStringMethod(std::string_view name) {
  const auto* found = std::ranges::find(kMethods, name, &MethodEntry::name);
  return found == std::end(kMethods) ? nullptr : found->body;
}

bool IsUpperText(std::string_view text) {
  return HasOnlyCase(text, IsUpperCharacter, IsLowerCharacter);
}

bool IsLowerText(std::string_view text) {
  return HasOnlyCase(text, IsLowerCharacter, IsUpperCharacter);
}

std::string Replace(std::string_view text, std::string_view from, std::string_view to,
                    int64_t limit, Budget& budget) {
  std::string out;
  int64_t count = 0;
  const auto may_replace = [&] {
    return (limit < 0 || count < limit) && budget.Reserve(to.size()) && budget.Work(1);
  };
  size_t position = 0;
  while (true) {
    const size_t at = from.empty() ? position : text.find(from, position);
    if (at == std::string_view::npos || !may_replace()) break;
    ++count;
    out += text.substr(position, at - position);
    out += to;
    position = at + from.size();
    if (from.empty()) {
      if (position == text.size()) break;
      const size_t bytes = CharacterBytes(text[position]);
      out += text.substr(position, bytes);
      position += bytes;
    }
  }
  if (!budget.Reserve(text.size())) return {};
  out += text.substr(position);
  return out;
}

std::string Pad(std::string_view text, int64_t width_characters, std::string_view fill,
                Alignment alignment, Budget& budget) {
  const auto length = static_cast<int64_t>(CountCharacters(text));
  const int64_t missing = std::max<int64_t>(0, width_characters - length);
  if (!budget.Reserve(static_cast<size_t>(missing), fill.size())) return {};
  // An odd blank goes to the left if the width is odd, as CPython has it.
  const int64_t left = alignment == Alignment::kLeft ? 0
                       : alignment == Alignment::kRight
                           ? missing
                           : missing / 2 + (missing & width_characters & 1);
  std::string out;
  for (int64_t i = 0; i < left; ++i) out += fill;
  out += text;
  for (int64_t i = left; i < missing; ++i) out += fill;
  return out;
}

std::optional<Integer> ParseInteger(std::string_view text, int base) {
  text = Strip(text, Side::kBoth);
  const bool is_negative = text.starts_with('-');
  if (is_negative || text.starts_with('+')) text.remove_prefix(1);
  const char letter = text.size() > 1 && text[0] == '0' ? static_cast<char>(text[1] | 0x20) : '\0';
  const int prefix_base = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 0;
  bool after_digit = false;
  if (prefix_base != 0 && (base == 0 || base == prefix_base)) {
    base = prefix_base;
    text.remove_prefix(2);
    after_digit = true;  // "0x_1" is allowed
  } else if (base == 0) {
    base = 10;
    if (text.size() > 1 && text[0] == '0' && text.find_first_not_of("0_") != text.npos) return {};
  }
  Integer value = 0;
  bool has_digit = false;
  for (size_t position = 0; position < text.size();) {
    const char32_t c = NextCharacter(text, position);
    if (c == '_') {
      if (!after_digit || position == text.size()) return std::nullopt;
      after_digit = false;
      continue;
    }
    int digit = DecimalValue(c);
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') digit = static_cast<int>((c | 0x20) - 'a') + 10;
    if (digit < 0 || digit >= base) return std::nullopt;
    if (__builtin_mul_overflow(value, base, &value) ||
        __builtin_add_overflow(value, digit, &value)) {
      return std::nullopt;
    }
    has_digit = after_digit = true;
  }
  if (!has_digit) return std::nullopt;
  return is_negative ? -value : value;
}

std::optional<double> ParseFloat(std::string_view text) {
  std::string plain;
  text = Strip(text, Side::kBoth);
  for (size_t i = 0; i < text.size(); ++i) {
    const auto is_digit = [&](size_t at) {
      return at < text.size() && text[at] >= '0' && text[at] <= '9';
    };
    if (text[i] == '_') {
      if (i == 0 || !is_digit(i - 1) || !is_digit(i + 1)) return std::nullopt;
      continue;
    }
    plain += static_cast<char>(text[i] >= 'A' && text[i] <= 'Z' ? text[i] | 0x20 : text[i]);
  }
  const std::string_view unsigned_part =
      std::string_view(plain).substr(plain.starts_with('-') || plain.starts_with('+') ? 1 : 0);
  const double sign = plain.starts_with('-') ? -1.0 : 1.0;
  if (unsigned_part == "inf" || unsigned_part == "infinity") {
    return sign * std::numeric_limits<double>::infinity();
  }
  if (unsigned_part == "nan") return std::numeric_limits<double>::quiet_NaN();
  if (unsigned_part.empty() ||
      unsigned_part.find_first_not_of("0123456789.e+-") != std::string_view::npos) {
    return std::nullopt;
  }
  char* end = nullptr;
  const double value = std::strtod(plain.c_str(), &end);
  return end == plain.c_str() + plain.size() ? std::optional<double>(value) : std::nullopt;
}

}  // namespace qeff::jinja
