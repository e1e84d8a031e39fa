// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/chat_template/lexer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "lib/chat_template/unicode_text.h"

namespace qeff::jinja {
namespace {

/// Longest first.
constexpr std::array<std::string_view, 25> kOperators = {
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "*", "/", "%", "~", "(",
    ")",  "[",  "]",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ","};

bool IsAsciiDigit(char c) { return c >= '0' && c <= '9'; }

/// The text with every line end as '\n', and without the last one unless it is kept.
std::string NormalizeLineEnds(std::string_view text, bool keeps_trailing_newline) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r') {
      if (i + 1 < text.size() && text[i + 1] == '\n') ++i;
      out += '\n';
    } else {
      out += text[i];
    }
  }
  if (!keeps_trailing_newline && out.ends_with('\n')) out.pop_back();
  return out;
}

class Lexer {
 public:
  Lexer(std::string text, std::string_view path, const WhitespaceOptions& options)
      : text_(std::move(text)), path_(path), options_(options) {}

  Result<std::vector<Token>> Run() {
    while (position_ < text_.size()) QEFF_RETURN_IF_ERROR(ReadTextAndTag());
    Push(Token::Kind::kEnd, "", position_);
    return std::move(tokens_);
  }

 private:
  Location Place(size_t position) {
    // Places are asked for in ascending order, but for errors.
    if (position < counted_) {
      counted_ = 0;
      line_ = 1;
      column_ = 1;
    }
    for (; counted_ < position; ++counted_) {
      if (text_[counted_] == '\n') {
        ++line_;
        column_ = 1;
      } else if ((static_cast<unsigned char>(text_[counted_]) & 0xC0) != 0x80) {
        ++column_;  // a character's first byte
      }
    }
    return Location::Line(path_, line_, column_);
  }
  Status Fail(size_t position, std::string message, std::vector<std::string> notes = {}) {
    return InvalidInput(Place(position), std::move(message), std::move(notes));
  }

  void Push(Token::Kind kind, std::string text, size_t position, Value number = {}) {
    const Location place = Place(position);
    tokens_.push_back({kind, std::move(text), std::move(number), place.line, place.column});
  }

  std::string_view Rest() const { return std::string_view(text_).substr(position_); }
  size_t SkipSpace(size_t position) const {
    while (position < text_.size()) {
      size_t next = position;
      if (!IsSpace(NextCharacter(text_, next))) break;
      position = next;
    }
    return position;
  }

  bool HasMark(size_t position) const {
    return position < text_.size() && (text_[position] == '-' || text_[position] == '+');
  }

  /// If {% raw %} starts at `begin`, returns where it ends.
  std::optional<size_t> MatchRawTag(size_t begin, std::string_view name) const {
    size_t position = begin + 2;
    if (HasMark(position)) ++position;
    position = SkipSpace(position);
    if (text_.compare(position, name.size(), name) != 0) return std::nullopt;
    position = SkipSpace(position + name.size());
    if (name == "endraw" && text_.compare(position, 3, "+%}") == 0) return position + 3;
    if (text_.compare(position, 3, "-%}") == 0) return SkipSpace(position + 3);
    if (text_.compare(position, 2, "%}") != 0) return std::nullopt;
    position += 2;
    const bool trims = name == "endraw" && options_.trims_blocks;
    if (trims && position < text_.size() && text_[position] == '\n') ++position;
    return position;
  }

  /// Emits the text in [begin, end) that stands before a tag whose mark is at `end` + 2.
  void PushText(size_t begin, size_t end, bool is_variable) {
    std::string_view text = std::string_view(text_).substr(begin, end - begin);
    const char mark = end + 2 < text_.size() ? text_[end + 2] : '\0';
    if (mark == '-') {
      text = Strip(text, Side::kRight);
    } else if (mark != '+' && options_.strips_before_blocks && !is_variable) {
      const size_t line_start = text.rfind('\n') + 1;  // 0 if there is none
      const bool at_line_start = line_start > 0 || begin == 0 || text_[begin - 1] == '\n';
      if (at_line_start && Strip(text.substr(line_start), Side::kBoth).empty()) {
        text = text.substr(0, line_start);
      }
    }
    if (!text.empty()) Push(Token::Kind::kText, std::string(text), begin);
  }

  Status ReadTextAndTag() {
    size_t tag = position_;
    for (;; ++tag) {
      tag = text_.find('{', tag);
      if (tag == std::string::npos || tag + 1 >= text_.size()) {
        Push(Token::Kind::kText, text_.substr(position_), position_);
        position_ = text_.size();
        return Status::Ok();
      }
      if (text_[tag + 1] == '{' || text_[tag + 1] == '%' || text_[tag + 1] == '#') break;
    }
    const char type = text_[tag + 1];
    PushText(position_, tag, type == '{');
    if (type == '#') return SkipComment(tag);
    if (type == '%') {
      if (const std::optional<size_t> end = MatchRawTag(tag, "raw")) return ReadRaw(tag, *end);
    }
    position_ = tag + 2;
    if (HasMark(position_)) ++position_;
    Push(type == '{' ? Token::Kind::kVariableBegin : Token::Kind::kBlockBegin, "", tag);
    return ReadTag(tag, type == '{' ? '}' : '%');
  }

  /// Moves past the newline that a tag's end takes with it.
  void EndTag(size_t end, char mark) {
    position_ = end;
    if (mark == '-') {
      position_ = SkipSpace(end);
    } else if (mark != '+' && options_.trims_blocks && end < text_.size() && text_[end] == '\n') {
      position_ = end + 1;
    }
  }

  Status SkipComment(size_t tag) {
    const size_t begin = HasMark(tag + 2) ? tag + 3 : tag + 2;
    const size_t end = text_.find("#}", begin);
    if (end == std::string::npos) {
      return Fail(tag, "comment without end", {"a comment ends with '#}'"});
    }
    EndTag(end + 2, end > begin ? text_[end - 1] : '\0');
    return Status::Ok();
  }

  Status ReadRaw(size_t tag, size_t begin) {
    for (size_t end = begin; (end = text_.find("{%", end)) != std::string::npos; ++end) {
      const std::optional<size_t> after = MatchRawTag(end, "endraw");
      if (!after.has_value()) continue;
      PushText(begin, end, false);
      position_ = *after;
      return Status::Ok();
    }
    return Fail(tag, "'raw' without 'endraw'");
  }

  /// Reads up to the end of a tag, which `close` and '}' make. Ends inside brackets do not count.
  Status ReadTag(size_t tag, char close) {
    std::vector<std::pair<char, size_t>> open;
    for (;;) {
      position_ = SkipSpace(position_);
      if (position_ >= text_.size()) {
        if (!open.empty()) {
          return Fail(open.back().second, fmt::format("'{}' without end", open.back().first));
        }
        return Fail(tag, fmt::format("tag without end: expected '{}}}'", close));
      }
      if (open.empty() && ReadTagEnd(close)) return Status::Ok();
      const size_t begin = position_;
      const char c = text_[begin];
      if (IsAsciiDigit(c)) {
        QEFF_RETURN_IF_ERROR(ReadNumber());
      } else if (c == '\'' || c == '"') {
        QEFF_RETURN_IF_ERROR(ReadString(c));
      } else if (size_t end = begin; IsIdentifierStart(NextCharacter(text_, end))) {
        for (position_ = end; end < text_.size() && IsIdentifierPart(NextCharacter(text_, end));) {
          position_ = end;
        }
        Push(Token::Kind::kName, text_.substr(begin, position_ - begin), begin);
      } else {
        QEFF_RETURN_IF_ERROR(ReadOperator(open));
      }
    }
  }

  bool ReadTagEnd(char close) {
    size_t end = position_;
    char mark = '\0';
    if (text_[end] == '-' || (text_[end] == '+' && close == '%')) mark = text_[end++];
    if (end + 1 >= text_.size() || text_[end] != close || text_[end + 1] != '}') return false;
    Push(close == '}' ? Token::Kind::kVariableEnd : Token::Kind::kBlockEnd, "", position_);
    if (close == '}') {
      position_ = mark == '-' ? SkipSpace(end + 2) : end + 2;
    } else {
      EndTag(end + 2, mark);
    }
    return true;
  }

  Status ReadOperator(std::vector<std::pair<char, size_t>>& open) {
    const std::string_view rest = Rest();
    const size_t begin = position_;
    std::string_view symbol;
    for (const std::string_view candidate : kOperators) {
      if (symbol.empty() && rest.starts_with(candidate)) symbol = candidate;
    }
    if (symbol.empty()) {
      const size_t bytes = CharacterBytes(rest.front());
      return Fail(begin, fmt::format("unexpected character '{}'", rest.substr(0, bytes)));
    }
    const char c = symbol.front();
    if (c == '(' || c == '[' || c == '{') {
      open.emplace_back(c, begin);
    } else if (c == ')' || c == ']' || c == '}') {
      const char expected = c == ')' ? '(' : c == ']' ? '[' : '{';
      if (open.empty() || open.back().first != expected) {
        return Fail(begin, open.empty()
                               ? fmt::format("unexpected '{}'", c)
                               : fmt::format("unexpected '{}' after '{}'", c, open.back().first));
      }
      open.pop_back();
    }
    position_ += symbol.size();
    Push(Token::Kind::kOperator, std::string(symbol), begin);
    return Status::Ok();
  }

  /// Moves `end` past digits of `base`, with '_' between them.
  void TakeDigits(int base, size_t& end, std::string& digits) const {
    const auto is_digit = [&](size_t at) {
      if (at >= text_.size()) return false;
      const char c = text_[at];
      if (base == 16) {
        return IsAsciiDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
      }
      return c >= '0' && c < '0' + base;
    };
    while (is_digit(end) || (end < text_.size() && text_[end] == '_' && is_digit(end + 1))) {
      if (text_[end] != '_') digits += text_[end];
      ++end;
    }
  }

  Status PushInteger(const std::string& digits, int base, size_t begin) {
    Integer value = 0;
    for (const char c : digits) {
      const int digit = IsAsciiDigit(c) ? c - '0' : (c | 0x20) - 'a' + 10;
      if (__builtin_mul_overflow(value, base, &value) ||
          __builtin_add_overflow(value, digit, &value)) {
        return Fail(begin, "integer beyond 128 bits");
      }
    }
    Push(Token::Kind::kNumber, text_.substr(begin, position_ - begin), begin,
         Value::FromInteger(value));
    return Status::Ok();
  }

  Status ReadNumber() {
    const size_t begin = position_;
    const char prefix = begin + 1 < text_.size() ? static_cast<char>(text_[begin + 1] | 0x20) : ' ';
    const int base = prefix == 'x' ? 16 : prefix == 'o' ? 8 : prefix == 'b' ? 2 : 10;
    std::string digits;
    if (text_[begin] == '0' && base != 10) {
      size_t end = begin + 2;
      TakeDigits(base, end, digits);
      if (!digits.empty()) {
        position_ = end;
        return PushInteger(digits, base, begin);
      }
    }
    size_t end = begin;
    TakeDigits(10, end, digits);
    const bool follows_dot = begin > 0 && text_[begin - 1] == '.';
    bool is_float = false;
    if (!follows_dot && end + 1 < text_.size() && text_[end] == '.' &&
        IsAsciiDigit(text_[end + 1])) {
      is_float = true;
      digits += '.';
      TakeDigits(10, ++end, digits);
    }
    if (!follows_dot && end < text_.size() && (text_[end] | 0x20) == 'e') {
      size_t exponent = end + 1;
      std::string power = "e";
      if (exponent < text_.size() && (text_[exponent] == '+' || text_[exponent] == '-')) {
        power += text_[exponent++];
      }
      if (exponent < text_.size() && IsAsciiDigit(text_[exponent])) {
        is_float = true;
        TakeDigits(10, exponent, power);
        digits += power;
        end = exponent;
      }
    }
    if (!is_float && digits.size() > 1 && digits.front() == '0' &&
        digits.find_first_not_of('0') != std::string::npos) {
      return Fail(begin, fmt::format("a number other than 0 cannot start with '0': '{}'", digits));
    }
    position_ = end;
    if (!is_float) return PushInteger(digits, 10, begin);
    Push(Token::Kind::kNumber, digits, begin,
         Value::FromFloat(std::strtod(digits.c_str(), nullptr)));
    return Status::Ok();
  }

  /// Reads `count` hexadecimal digits at `at`.
  std::optional<uint32_t> HexCode(size_t at, size_t count) const {
    uint32_t code = 0;
    if (at + count > text_.size()) return std::nullopt;
    const auto [end, error] =
        std::from_chars(text_.data() + at, text_.data() + at + count, code, 16);
    if (error != std::errc() || end != text_.data() + at + count) return std::nullopt;
    return code;
  }

  Status ReadString(char quote) {
    const size_t begin = position_++;
    std::string content;
    while (position_ < text_.size() && text_[position_] != quote) {
      if (text_[position_] == '\\') {
        QEFF_RETURN_IF_ERROR(ReadEscape(content));
      } else {
        content += text_[position_++];
      }
    }
    if (position_ >= text_.size()) return Fail(begin, "string without end");
    ++position_;
    Push(Token::Kind::kString, std::move(content), begin);
    return Status::Ok();
  }

  /// Reads the rest of \N{NAME}.
  Status ReadNamedCharacter(size_t begin, std::string& content) {
    const size_t end = text_.find('}', position_);
    if (text_.compare(position_, 1, "{") == 0 && end != std::string::npos) {
      const std::string name = text_.substr(position_ + 1, end - position_ - 1);
      if (const std::optional<char32_t> character = CharacterByName(name)) {
        AppendCharacter(*character, content);
        position_ = end + 1;
        return Status::Ok();
      }
    }
    return Fail(begin, "unknown character name after '\\N'");
  }

  Status ReadEscape(std::string& content) {
    constexpr std::string_view kLetters = "\\'\"abfnrtv";
    constexpr std::string_view kMeanings = "\\'\"\a\b\f\n\r\t\v";
    const size_t begin = position_;
    if (begin + 1 >= text_.size()) return Fail(begin, "string without end");
    const char letter = text_[begin + 1];
    position_ += 2;
    if (letter == '\n') return Status::Ok();  // the line goes on
    if (const size_t index = kLetters.find(letter); index != std::string_view::npos) {
      content += kMeanings[index];
      return Status::Ok();
    }
    if (letter >= '0' && letter <= '7') {
      uint32_t code = 0;
      for (position_ = begin + 1; position_ < begin + 4 && position_ < text_.size() &&
                                  text_[position_] >= '0' && text_[position_] <= '7';
           ++position_) {
        code = code * 8 + static_cast<uint32_t>(text_[position_] - '0');
      }
      AppendCharacter(code, content);
      return Status::Ok();
    }
    if (letter == 'N') return ReadNamedCharacter(begin, content);
    const size_t count = letter == 'x' ? 2 : letter == 'u' ? 4 : letter == 'U' ? 8 : 0;
    if (count == 0) {
      content += '\\';
      position_ = begin + 1;  // the character stands for itself
      return Status::Ok();
    }
    std::optional<uint32_t> code = HexCode(position_, count);
    if (code.has_value()) position_ += count;
    const bool is_high_surrogate = code.has_value() && *code >= 0xD800 && *code < 0xDC00;
    if (is_high_surrogate && text_.compare(position_, 2, "\\u") == 0) {
      const std::optional<uint32_t> low = HexCode(position_ + 2, 4);
      if (low.has_value() && *low >= 0xDC00 && *low < 0xE000) {
        code = 0x10000 + ((*code - 0xD800) << 10) + (*low - 0xDC00);
        position_ += 6;
      }
    }
    if (!code.has_value() || *code > 0x10FFFF || (*code >= 0xD800 && *code < 0xE000)) {
      return Fail(begin, fmt::format("expected a character's {} hexadecimal digits after '\\{}'",
                                     count, letter));
    }
    AppendCharacter(*code, content);
    return Status::Ok();
  }

  std::string text_;
  std::string_view path_;
  const WhitespaceOptions& options_;
  size_t position_ = 0;
  std::vector<Token> tokens_;
  size_t counted_ = 0;  ///< up to where lines are counted
  int64_t line_ = 1;
  int64_t column_ = 1;
};

}  // namespace

Result<std::vector<Token>> Tokenize(std::string_view text, std::string_view path,
                                    const WhitespaceOptions& options) {
  if (const std::optional<size_t> invalid = FindInvalidUtf8(text)) {
    return InvalidInput(Location::Byte(path, static_cast<int64_t>(*invalid)), "invalid UTF-8");
  }
  return Lexer(NormalizeLineEnds(text, options.keeps_trailing_newline), path, options).Run();
}

}  // namespace qeff::jinja
