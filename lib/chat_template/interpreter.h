// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Runs a parsed template once: statements write text, expressions give values. Everything it does
// is taken from a budget (budget.h), so that every template ends, with text or with an error.
#pragma once

#include <ctime>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/chat_template/syntax.h"
#include "lib/chat_template/value.h"

namespace qeff::jinja {

/// Names and their values; what is not here is looked for in `parent`.
struct Scope {
  std::shared_ptr<Scope> parent;
  std::vector<std::pair<std::string, Value>> names;

  const Value* Find(std::string_view name) const;
  void Set(std::string_view name, Value value);
};
using ScopeRef = std::shared_ptr<Scope>;

class Interpreter {
 public:
  /// `path` names the template in errors; `now` is the local time that strftime_now tells.
  Interpreter(std::string path, std::tm now);
  ~Interpreter();
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;

  /// Returns the text of `body` with the entries of `variables` as names.
  Result<std::string> Run(const Body& body, const Value& variables);

  /// What functions, filters and tests use.
  Budget& budget() { return budget_; }
  const std::tm& now() const { return now_; }
  Result<Value> Call(const Value& callee, Arguments arguments);
  Result<Value> ApplyFilter(std::string_view name, const Value& value, const Arguments& arguments);
  Result<bool> ApplyTest(std::string_view name, const Value& value, const Arguments& arguments);
  /// Returns value.name or value[index] as the sandbox of Jinja allows; undefined if neither is.
  Result<Value> GetAttribute(const Value& value, std::string_view name);
  Result<Value> GetItem(const Value& value, const Value& index);
  std::string ToText(const Value& value);
  /// Keeps an object that could come to hold itself, to take it apart in the end.
  void Adopt(std::shared_ptr<Namespace> object) { namespaces_.push_back(std::move(object)); }

 private:
  friend class Loop;
  friend class Macro;
  /// Expressions and statements in each other, through all calls. Bounds the stack; measured, a
  /// level takes less than 2 KiB.
  static constexpr int kMaxDepth = 1500;
  enum class Flow { kNext, kBreak, kContinue };

  Result<Flow> Execute(const Body& body, const ScopeRef& scope, std::string& out);
  Result<Flow> ExecuteOne(const Statement& statement, const ScopeRef& scope, std::string& out);
  Result<Flow> ExecuteIf(const IfStatement& choice, const ScopeRef& scope, std::string& out);
  Status ExecuteSet(const SetStatement& set, const ScopeRef& scope);
  Result<Flow> ExecuteWith(const WithStatement& with, const ScopeRef& scope, std::string& out);
  Status ExecuteFor(const ForStatement& loop, const ScopeRef& scope, std::string& out);
  /// One run over `items`; `depth` is that of a recursive loop, from 0.
  Status RunLoop(const ForStatement& loop, const ScopeRef& scope, std::vector<Value> items,
                 int64_t depth, std::string& out);
  Result<std::vector<Value>> SelectItems(const ForStatement& loop, const ScopeRef& scope,
                                         std::vector<Value> items);
  Status ExecuteCall(const CallStatement& call, const ScopeRef& scope, std::string& out);
  Status Assign(const Target& target, const Value& value, const ScopeRef& scope);
  Status Write(std::string_view text, std::string& out);

  Result<Value> Evaluate(const Expression& expression, const ScopeRef& scope);
  Result<Value> EvaluateForm(const Expression& expression, const ScopeRef& scope);
  /// The same, of one form each.
  Result<Value> Visit(const Constant& node, const ScopeRef& scope);
  Result<Value> Visit(const Name& node, const ScopeRef& scope);
  Result<Value> Visit(const SequenceLiteral& node, const ScopeRef& scope);
  Result<Value> Visit(const DictionaryLiteral& node, const ScopeRef& scope);
  Result<Value> Visit(const AttributeAccess& node, const ScopeRef& scope);
  Result<Value> Visit(const Subscript& node, const ScopeRef& scope);
  Result<Value> Visit(const SliceAccess& node, const ScopeRef& scope);
  Result<Value> Visit(const CallExpression& node, const ScopeRef& scope);
  Result<Value> Visit(const FilterExpression& node, const ScopeRef& scope);
  Result<Value> Visit(const TestExpression& node, const ScopeRef& scope);
  Result<Value> Visit(const UnaryExpression& node, const ScopeRef& scope);
  Result<Value> Visit(const BinaryExpression& node, const ScopeRef& scope);
  Result<Value> Visit(const LogicalExpression& node, const ScopeRef& scope);
  Result<Value> Visit(const Comparison& node, const ScopeRef& scope);
  Result<Value> Visit(const Concatenation& node, const ScopeRef& scope);
  Result<Value> Visit(const Conditional& node, const ScopeRef& scope);

  Result<Arguments> EvaluateArguments(const CallArguments& arguments, const ScopeRef& scope);
  Result<Value> CallMacro(const MacroDefinition& macro, const ScopeRef& closure,
                          Arguments arguments);
  Value MakeMacro(std::shared_ptr<const MacroDefinition> definition, const ScopeRef& closure);
  /// Applies a filter, or a chain of them, to a block's text.
  Result<Value> FilterText(const Expression& filter, std::string text, const ScopeRef& scope);

  Status TooDeep(const Place& place) const;
  /// Ok, or what was exhausted.
  Status CheckBudget(const Place& place) const;
  /// Takes the work that reading a value costs.
  void Charge(const Value& value);
  /// Gives an error its place in the template, if it has none.
  Status WithPlace(Status status, const Place& place) const;

  std::string path_;
  std::tm now_;
  Budget budget_;
  int depth_ = 0;
  ScopeRef root_;
  std::string filtered_text_;  ///< what a filter without a value is applied to
  std::vector<std::shared_ptr<Namespace>> namespaces_;
  std::vector<std::shared_ptr<Object>> macros_and_loops_;
};

/// Names that every template has: range, dict, namespace, cycler, joiner, raise_exception,
/// strftime_now, ...
std::vector<std::pair<std::string, Value>> GlobalNames();

/// Returns the attribute or method of a plain value; none if its type has no such.
std::optional<Value> PlainAttribute(const Value& value, std::string_view name);

}  // namespace qeff::jinja
