// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// A parsed template: statements and expressions with their places. Made by parser.h, read by the
// interpreter, never changed.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "lib/chat_template/operators.h"
#include "lib/chat_template/value.h"

namespace qeff::jinja {

struct Expression;
struct Statement;
using ExpressionRef = std::unique_ptr<Expression>;
using Body = std::vector<Statement>;

struct Place {
  int64_t line = 1;
  int64_t column = 1;
};

struct CallArguments {
  std::vector<ExpressionRef> positional;
  std::vector<std::pair<std::string, ExpressionRef>> keywords;
  ExpressionRef spread_positional;  ///< *x; may be null
  ExpressionRef spread_keywords;    ///< **x; may be null
};

struct Constant {
  Value value;
};
struct Name {
  std::string name;
};
struct SequenceLiteral {
  std::vector<ExpressionRef> items;
  bool is_tuple = false;
};
struct DictionaryLiteral {
  std::vector<std::pair<ExpressionRef, ExpressionRef>> entries;
};
struct AttributeAccess {
  ExpressionRef object;
  std::string name;
};
struct Subscript {
  ExpressionRef object;
  ExpressionRef index;
};
struct SliceAccess {
  ExpressionRef object;
  ExpressionRef start, stop, step;  ///< each may be null
};
struct CallExpression {
  ExpressionRef callee;
  CallArguments arguments;
};
struct FilterExpression {
  ExpressionRef value;  ///< null: the text of the block it is applied to
  std::string name;
  CallArguments arguments;
};
struct TestExpression {
  ExpressionRef value;
  std::string name;
  CallArguments arguments;
  bool is_negated = false;
};
struct UnaryExpression {
  enum class Operator { kNot, kNegate, kPlus };
  Operator op;
  ExpressionRef operand;
};
struct BinaryExpression {
  BinaryOperator op;
  ExpressionRef left, right;
};
struct LogicalExpression {
  bool is_and;
  ExpressionRef left, right;
};
/// a < b == c in d: every pair must hold.
struct Comparison {
  enum class Operator {
    kEqual,
    kNotEqual,
    kLess,
    kLessEqual,
    kGreater,
    kGreaterEqual,
    kIn,
    kNotIn
  };
  ExpressionRef first;
  std::vector<std::pair<Operator, ExpressionRef>> rest;
};
struct Concatenation {
  std::vector<ExpressionRef> parts;
};
struct Conditional {
  ExpressionRef condition, then;
  ExpressionRef otherwise;  ///< may be null
};

struct Expression {
  Place place;
  int height;  ///< levels of expressions below, itself included
  std::variant<Constant, Name, SequenceLiteral, DictionaryLiteral, AttributeAccess, Subscript,
               SliceAccess, CallExpression, FilterExpression, TestExpression, UnaryExpression,
               BinaryExpression, LogicalExpression, Comparison, Concatenation, Conditional>
      form;
};

/// What `set` and `for` assign to: a name, name.attribute of a namespace, or several of them.
struct Target {
  Place place;
  std::string name;
  std::string attribute;      ///< of the namespace `name`; else empty
  std::vector<Target> parts;  ///< not empty: unpacked
  bool is_tuple = false;
};

struct Parameter {
  std::string name;
  ExpressionRef default_value;  ///< may be null
};

/// A macro, or the body of a call block as one.
struct MacroDefinition {
  std::string name;
  std::vector<Parameter> parameters;
  std::vector<Statement> body;
  bool uses_varargs = false;
  bool uses_kwargs = false;
  bool uses_caller = false;
};

struct TextOutput {
  std::string text;
};
struct Output {
  ExpressionRef value;
};
struct IfStatement {
  std::vector<std::pair<ExpressionRef, Body>> branches;
  Body otherwise;
};
struct ForStatement {
  Target target;
  ExpressionRef iterable;
  ExpressionRef condition;  ///< may be null
  bool is_recursive = false;
  Body body, otherwise;
};
struct SetStatement {
  Target target;
  ExpressionRef value;  ///< null: the text of `body`
  Body body;
  ExpressionRef filter;  ///< of the body's text; may be null
};
struct WithStatement {
  std::vector<std::pair<Target, ExpressionRef>> assignments;
  Body body;
};
struct MacroStatement {
  std::shared_ptr<const MacroDefinition> macro;
};
struct CallStatement {
  ExpressionRef call;
  std::shared_ptr<const MacroDefinition> caller;
};
struct FilterStatement {
  ExpressionRef filter;
  Body body;
};
/// {% block %}, {% generation %}, {% autoescape false %}: statements with names of their own.
struct ScopeStatement {
  Body body;
  bool sees_template_scope_only = false;  ///< a block that is not `scoped`
};
struct LoopControl {
  bool is_break = false;
};
/// What we refuse, when it is reached: another template is needed.
struct RefusedStatement {
  std::string name;
};

struct Statement {
  Place place;
  std::variant<TextOutput, Output, IfStatement, ForStatement, SetStatement, WithStatement,
               MacroStatement, CallStatement, FilterStatement, ScopeStatement, LoopControl,
               RefusedStatement>
      form;
};

}  // namespace qeff::jinja
