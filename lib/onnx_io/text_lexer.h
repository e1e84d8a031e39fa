// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Characters of ONNX's textual syntax as tokens, with line and column. Internal to lib/onnx_io.
#pragma once

#include <string>
#include <string_view>

#include "lib/support/status.h"

namespace qeff::onnx_io {

struct Token {
  enum class Kind {
    kEnd,
    kIdentifier,
    kString,  ///< quoted; `text` without quotes and escapes
    kInteger,
    kReal,
    kSymbol  ///< one of ( ) < > [ ] { } = : , . ? @, or "=>"
  };
  Kind kind = Kind::kEnd;
  std::string text;
  int64_t line = 1;
  int64_t column = 1;
};

class TextLexer {
 public:
  /// `text` must outlive the lexer; `path` names it in errors.
  TextLexer(std::string_view text, std::string_view path) : rest_(text), path_(path) {}

  /// Reads the first token; call once before anything else.
  Status Start() { return Advance(); }
  const Token& token() const { return token_; }
  /// Moves to the next token. Errors: kInvalidInput for a character that starts none.
  Status Advance();

  bool Is(std::string_view symbol) const {
    return token_.kind == Token::Kind::kSymbol && token_.text == symbol;
  }
  /// True and past it if the token is `symbol`.
  Result<bool> Accept(std::string_view symbol);
  Status Expect(std::string_view symbol);
  /// A name: identifier or quoted.
  Result<std::string> ExpectName(std::string_view what);
  Result<int64_t> ExpectInteger(std::string_view what);

  /// An error at the current token: "expected <what>, got '<token>'".
  Status Unexpected(std::string_view what) const;
  Status ErrorHere(std::string message) const { return ErrorAt(token_, std::move(message)); }
  /// An error at a token that was read before.
  Status ErrorAt(const Token& token, std::string message) const;

 private:
  void SkipSpace();
  void Take(size_t count);
  Status ReadString();

  std::string_view rest_;
  std::string path_;
  int64_t line_ = 1;
  int64_t column_ = 1;
  Token token_;
};

}  // namespace qeff::onnx_io
