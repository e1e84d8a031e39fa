// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/onnx_io/text_lexer.h"

#include <charconv>

namespace qeff::onnx_io {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsWord(char c) {
  return IsDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/// Length of the number at the start of `text`: -?digits[.digits][e[+-]digits], or -inf, -nan.
size_t NumberLength(std::string_view text, bool* is_real) {
  size_t at = text[0] == '-' ? 1 : 0;
  const std::string_view word = text.substr(at, 3);
  if (at == 1 && (word == "inf" || word == "nan")) {
    *is_real = true;
    return 4;
  }
  const auto digits = [&] {
    while (at < text.size() && IsDigit(text[at])) ++at;
  };
  digits();
  if (at < text.size() && text[at] == '.') {
    *is_real = true;
    ++at;
    digits();
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    *is_real = true;
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    digits();
  }
  return at;
}

}  // namespace

void TextLexer::Take(size_t count) {
  for (const char c : rest_.substr(0, count)) {
    column_ = c == '\n' ? 1 : column_ + 1;
    line_ += c == '\n' ? 1 : 0;
  }
  rest_.remove_prefix(count);
}

void TextLexer::SkipSpace() {
  while (!rest_.empty()) {
    if (rest_[0] == '#') {
      Take(std::min(rest_.find('\n'), rest_.size()));
    } else if (rest_[0] == ' ' || rest_[0] == '\t' || rest_[0] == '\r' || rest_[0] == '\n') {
      Take(1);
    } else {
      return;
    }
  }
}

Status TextLexer::ReadString() {
  token_.kind = Token::Kind::kString;
  for (size_t i = 1; i < rest_.size(); ++i) {
    if (rest_[i] == '"') {
      Take(i + 1);
      return Status::Ok();
    }
    if (rest_[i] == '\\' && i + 1 < rest_.size()) ++i;
    token_.text += rest_[i];
  }
  return ErrorHere("a string without closing quote");
}

Status TextLexer::Advance() {
  SkipSpace();
  token_ = {.line = line_, .column = column_};
  if (rest_.empty()) return Status::Ok();
  const char c = rest_[0];
  if (c == '"') return ReadString();
  size_t length = 1;
  if (IsDigit(c) || c == '-') {
    bool is_real = false;
    length = NumberLength(rest_, &is_real);
    token_.kind = is_real ? Token::Kind::kReal : Token::Kind::kInteger;
  } else if (IsWord(c)) {
    while (length < rest_.size() && IsWord(rest_[length])) ++length;
    token_.kind = Token::Kind::kIdentifier;
  } else if (std::string_view("()<>[]{}=:,.?@").find(c) != std::string_view::npos) {
    if (rest_.starts_with("=>")) length = 2;
    token_.kind = Token::Kind::kSymbol;
  } else {
    return ErrorHere("a character that starts nothing here");
  }
  token_.text = rest_.substr(0, length);
  Take(length);
  return Status::Ok();
}

Result<bool> TextLexer::Accept(std::string_view symbol) {
  if (!Is(symbol)) return false;
  QEFF_RETURN_IF_ERROR(Advance());
  return true;
}

Status TextLexer::Expect(std::string_view symbol) {
  if (!Is(symbol)) return Unexpected(fmt::format("'{}'", symbol));
  return Advance();
}

Result<std::string> TextLexer::ExpectName(std::string_view what) {
  if (token_.kind != Token::Kind::kIdentifier && token_.kind != Token::Kind::kString) {
    return Unexpected(what);
  }
  std::string name = token_.text;
  QEFF_RETURN_IF_ERROR(Advance());
  return name;
}

Result<int64_t> TextLexer::ExpectInteger(std::string_view what) {
  int64_t value = 0;
  const char* end = token_.text.data() + token_.text.size();
  const auto [stop, error] = std::from_chars(token_.text.data(), end, value);
  if (token_.kind != Token::Kind::kInteger || error != std::errc() || stop != end) {
    return Unexpected(what);
  }
  QEFF_RETURN_IF_ERROR(Advance());
  return value;
}

Status TextLexer::Unexpected(std::string_view what) const {
  const std::string got =
      token_.kind == Token::Kind::kEnd ? "the end" : fmt::format("'{}'", token_.text);
  return ErrorHere(fmt::format("expected {}, got {}", what, got));
}

Status TextLexer::ErrorAt(const Token& token, std::string message) const {
  return InvalidInput(Location::Line(path_, token.line, token.column), std::move(message));
}

}  // namespace qeff::onnx_io
