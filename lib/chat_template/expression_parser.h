// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The expressions of a template, and the stream of tokens that both parsers read. Used by
// parser.cpp only.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "lib/chat_template/lexer.h"
#include "lib/chat_template/parser.h"
#include "lib/chat_template/syntax.h"

namespace qeff::jinja {

/// Tokens one by one, and what is known about the place in the template.
class TokenStream {
 public:
  TokenStream(std::vector<Token> tokens, std::string path)
      : tokens_(std::move(tokens)), path_(std::move(path)) {}

  const Token& current() const { return tokens_[position_]; }
  const Token& following() const { return tokens_[std::min(position_ + 1, tokens_.size() - 1)]; }
  void Next() {
    if (position_ + 1 < tokens_.size()) ++position_;
  }
  bool IsName(std::string_view name) const {
    return current().kind == Token::Kind::kName && current().text == name;
  }
  bool IsOperator(std::string_view symbol) const {
    return current().kind == Token::Kind::kOperator && current().text == symbol;
  }
  bool SkipName(std::string_view name);
  bool SkipOperator(std::string_view symbol);
  Status Expect(Token::Kind kind, std::string_view spelling);
  Status ExpectName(std::string_view name);
  Status ExpectOperator(std::string_view symbol);

  Location PlaceOf(const Token& token) const {
    return Location::Line(path_, token.line, token.column);
  }
  Status Fail(const Token& token, std::string message, std::vector<std::string> notes = {}) const {
    return InvalidInput(PlaceOf(token), std::move(message), std::move(notes));
  }
  Status Unexpected(std::string_view expected) const;
  Status TooDeep() const {
    return Fail(current(), fmt::format("nested deeper than {}", kMaxSyntaxDepth));
  }

  /// One level of nesting, as long as it lives.
  class Nesting {
   public:
    explicit Nesting(TokenStream& stream) : stream_(stream) { ++stream.depth_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;
    ~Nesting() { --stream_.depth_; }
    bool is_allowed() const { return stream_.depth_ <= kMaxSyntaxDepth; }

   private:
    TokenStream& stream_;
  };

  /// Where code may never run, as in a branch, unknown filters are errors only when they do.
  class Softness {
   public:
    Softness(TokenStream& stream, bool is_soft) : stream_(stream), outer_(stream.is_soft_) {
      stream.is_soft_ = is_soft;
    }
    Softness(const Softness&) = delete;
    Softness& operator=(const Softness&) = delete;
    ~Softness() { stream_.is_soft_ = outer_; }

   private:
    TokenStream& stream_;
    bool outer_;
  };
  bool is_soft() const { return is_soft_; }

  /// Collects which of the names that a macro gets without declaring them are used in its body.
  class MacroNames {
   public:
    explicit MacroNames(TokenStream& stream) : stream_(stream), outer_(stream.used_) {
      stream.used_ = {};
    }
    MacroNames(const MacroNames&) = delete;
    MacroNames& operator=(const MacroNames&) = delete;
    ~MacroNames() {
      for (size_t i = 0; i < outer_.size(); ++i) stream_.used_[i] = stream_.used_[i] || outer_[i];
    }
    bool uses(std::string_view name) const;

   private:
    TokenStream& stream_;
    std::array<bool, 3> outer_;
  };
  void NoteName(std::string_view name);

  /// Unknown filters and tests, in order. They are errors once everything has been parsed: what
  /// stands before an inline `if` turns out to be a branch only then.
  std::vector<Diagnostic>& unknown_names() { return unknown_names_; }

 private:
  std::vector<Token> tokens_;
  std::string path_;
  size_t position_ = 0;
  int depth_ = 0;
  bool is_soft_ = false;
  std::vector<Diagnostic> unknown_names_;
  std::array<bool, 3> used_ = {};  ///< varargs, kwargs, caller
};

class ExpressionParser {
 public:
  explicit ExpressionParser(TokenStream& stream) : stream_(stream) {}

  struct TupleOptions {
    bool allows_conditional = true;
    bool is_in_parentheses = false;
    std::string_view stops_at = {};  ///< a name that ends the tuple
  };
  /// Reads expressions with commas between them: a tuple, or the only one.
  Result<ExpressionRef> ParseTuple(const TupleOptions& options);
  Result<ExpressionRef> ParseExpression();
  /// Reads "name(...) | name ..." or "| name ...", applied to a block's text.
  Result<ExpressionRef> ParseBareFilter();
  Result<ExpressionRef> ParseFilterChain();

 private:
  using Step = Result<ExpressionRef> (ExpressionParser::*)();
  Result<ExpressionRef> ParseConditional();
  Result<ExpressionRef> ParseOr();
  Result<ExpressionRef> ParseAnd();
  Result<ExpressionRef> ParseNot();
  Result<ExpressionRef> ParseComparison();
  Result<ExpressionRef> ParseSum();
  Result<ExpressionRef> ParseConcatenation();
  Result<ExpressionRef> ParseProduct();
  Result<ExpressionRef> ParsePower();
  enum class Filters { kNo, kYes };
  Result<ExpressionRef> ParseUnary(Filters filters);
  Result<ExpressionRef> ParseOperand() { return ParseUnary(Filters::kYes); }
  Result<ExpressionRef> ParsePrimary();
  Result<ExpressionRef> ParseList();
  Result<ExpressionRef> ParseDictionary();
  Result<ExpressionRef> ParsePostfix(ExpressionRef node);
  Result<ExpressionRef> ParseFiltersAndTests(ExpressionRef node);
  Result<ExpressionRef> ParseSubscript(ExpressionRef node);
  Result<ExpressionRef> ParseFilter(ExpressionRef value);
  Result<ExpressionRef> ParseTest(ExpressionRef value);
  Result<CallArguments> ParseArguments();
  Result<ExpressionRef> ParseBinary(
      Step operand, const std::vector<std::pair<std::string_view, BinaryOperator>>& operators);
  Result<std::string> ParseDottedName();

  TokenStream& stream_;
};

}  // namespace qeff::jinja
