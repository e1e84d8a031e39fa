// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Expressions of the interpreter.
#include <algorithm>

#include "lib/chat_template/filters.h"
#include "lib/chat_template/interpreter.h"
#include "lib/chat_template/operators.h"
#include "lib/chat_template/value_tests.h"
#include "lib/chat_template/value_text.h"

namespace qeff::jinja {
namespace {

/// Attributes of Python's lists and dictionaries that change them: refused, as in the sandbox of
/// Jinja 3.1.2, which forgets pop() and clear() of lists.
bool ChangesValue(const Value& value, std::string_view name) {
  static constexpr std::string_view kOfLists[] = {"append", "extend",  "insert",
                                                  "remove", "reverse", "sort"};
  static constexpr std::string_view kOfDictionaries[] = {"clear", "pop", "popitem", "setdefault",
                                                         "update"};
  if (value.is_list()) return std::ranges::find(kOfLists, name) != std::end(kOfLists);
  if (value.dictionary() != nullptr) {
    return std::ranges::find(kOfDictionaries, name) != std::end(kOfDictionaries);
  }
  return false;
}

Value UnsafeAttribute(const Value& value, std::string_view name) {
  return Value::MakeUndefined(
      fmt::format("access to attribute '{}' of '{}' object is unsafe", name, value.TypeName()));
}

/// Returns the attribute as Python's getattr finds it; none if there is no such.
std::optional<Value> FindAttribute(const Value& value, std::string_view name) {
  if (value.object() != nullptr) return value.object()->Attribute(name);
  return PlainAttribute(value, name);
}

Value MissingElement(const Value& value, const Value& index, Budget& budget) {
  if (index.is_text()) {
    return Value::MakeUndefined(
        fmt::format("'{}' has no attribute {}", ObjectName(value), Represent(index, budget)));
  }
  return Value::MakeUndefined(
      fmt::format("{} has no element {}", ObjectName(value), Represent(index, budget)));
}

}  // namespace

Status Interpreter::WithPlace(Status status, const Place& place) const {
  if (status.ok() || status.diagnostic().where.line != 0) return status;
  const Diagnostic& found = status.diagnostic();
  return Error(found.code, Location::Line(path_, place.line, place.column), found.message,
               found.notes);
}

Status Interpreter::TooDeep(const Place& place) const {
  return WithPlace(
      OperationError(fmt::format("more than {} levels of calls and expressions", kMaxDepth)),
      place);
}

Status Interpreter::CheckBudget(const Place& place) const {
  const Location where = Location::Line(path_, place.line, place.column);
  switch (budget_.exhausted()) {
    case Budget::Limit::kNone:
      return Status::Ok();
    case Budget::Limit::kSteps:
      return InvalidInput(where, fmt::format("the template needs more than {} million steps",
                                             Budget::kSteps / 1'000'000));
    case Budget::Limit::kBytes:
      return InvalidInput(where,
                          fmt::format("the template makes more than {} MiB of text and lists",
                                      Budget::kBytes >> 20));
    case Budget::Limit::kDepth:
      break;
  }
  return InvalidInput(where,
                      fmt::format("values nested deeper than {} levels", Budget::kValueDepth));
}

void Interpreter::Charge(const Value& value) {
  constexpr size_t kBytesPerStep = 256;  // copying and searching text is that much faster
  if (value.is_text()) {
    budget_.Work(value.text().size() / kBytesPerStep);
  } else if (value.sequence() != nullptr) {
    budget_.Work(value.sequence()->items.size() / 4);
  } else if (value.dictionary() != nullptr) {
    budget_.Work(value.dictionary()->size() / 4);
  } else if (value.object() != nullptr) {
    budget_.Work(value.object()->size().value_or(0) / 4);
  }
}

Result<Value> Interpreter::Evaluate(const Expression& expression, const ScopeRef& scope) {
  budget_.Work(1);
  if (depth_ >= kMaxDepth) return TooDeep(expression.place);
  ++depth_;
  Result<Value> value = EvaluateForm(expression, scope);
  --depth_;
  if (!value.ok()) return WithPlace(std::move(value).status(), expression.place);
  budget_.CheckDepth(value->depth());
  QEFF_RETURN_IF_ERROR(CheckBudget(expression.place));
  return value;
}

Result<Value> Interpreter::EvaluateForm(const Expression& expression, const ScopeRef& scope) {
  return std::visit([&](const auto& node) { return Visit(node, scope); }, expression.form);
}

Result<Value> Interpreter::Visit(const Constant& node, const ScopeRef&) { return node.value; }

Result<Value> Interpreter::Visit(const Name& node, const ScopeRef& scope) {
  if (const Value* value = scope->Find(node.name)) return *value;
  return Value::MakeUndefined(fmt::format("'{}' is undefined", node.name));
}

Result<Value> Interpreter::Visit(const SequenceLiteral& node, const ScopeRef& scope) {
  std::vector<Value> items;
  items.reserve(node.items.size());
  for (const ExpressionRef& item : node.items) {
    QEFF_ASSIGN_OR_RETURN(Value value, Evaluate(*item, scope));
    items.push_back(std::move(value));
  }
  budget_.Reserve(items.size() * sizeof(Value));
  return node.is_tuple ? Value::FromTuple(std::move(items)) : Value::FromList(std::move(items));
}

Result<Value> Interpreter::Visit(const DictionaryLiteral& node, const ScopeRef& scope) {
  Dictionary dictionary;
  for (const auto& [key_node, value_node] : node.entries) {
    QEFF_ASSIGN_OR_RETURN(Value key, Evaluate(*key_node, scope));
    QEFF_ASSIGN_OR_RETURN(Value value, Evaluate(*value_node, scope));
    if (!key.IsHashable()) {
      return WithPlace(OperationError(fmt::format("unhashable type: '{}'", key.TypeName())),
                       key_node->place);
    }
    dictionary.Set(std::move(key), std::move(value));
  }
  budget_.Reserve(dictionary.size() * 2 * sizeof(Value));
  return Value::FromDictionary(std::move(dictionary));
}

Result<Value> Interpreter::GetAttribute(const Value& value, std::string_view name) {
  if (value.is_undefined()) return UndefinedError(value);
  if (name.starts_with('_') || ChangesValue(value, name)) {
    // Entries of dictionaries may still have such a name.
    if (const std::optional<Value> entry = Element(value, Value::FromText(std::string(name)))) {
      if (!ChangesValue(value, name)) return *entry;
    }
    return UnsafeAttribute(value, name);
  }
  if (std::optional<Value> found = FindAttribute(value, name)) return std::move(*found);
  const Value key = Value::FromText(std::string(name));
  if (std::optional<Value> found = Element(value, key)) return std::move(*found);
  return MissingElement(value, key, budget_);
}

Result<Value> Interpreter::GetItem(const Value& value, const Value& index) {
  if (value.is_undefined()) return UndefinedError(value);
  if (std::optional<Value> found = Element(value, index)) return std::move(*found);
  if (index.is_text()) {
    const std::string& name = index.text();
    if (name.starts_with('_') || ChangesValue(value, name)) return UnsafeAttribute(value, name);
    if (std::optional<Value> found = FindAttribute(value, name)) return std::move(*found);
  }
  return MissingElement(value, index, budget_);
}

Result<Value> Interpreter::Visit(const AttributeAccess& node, const ScopeRef& scope) {
  QEFF_ASSIGN_OR_RETURN(const Value object, Evaluate(*node.object, scope));
  return GetAttribute(object, node.name);
}

Result<Value> Interpreter::Visit(const Subscript& node, const ScopeRef& scope) {
  QEFF_ASSIGN_OR_RETURN(const Value object, Evaluate(*node.object, scope));
  QEFF_ASSIGN_OR_RETURN(const Value index, Evaluate(*node.index, scope));
  if (object.is_text()) Charge(object);
  return GetItem(object, index);
}

Result<Value> Interpreter::Visit(const SliceAccess& node, const ScopeRef& scope) {
  QEFF_ASSIGN_OR_RETURN(const Value object, Evaluate(*node.object, scope));
  Value bounds[3];
  const ExpressionRef* const nodes[] = {&node.start, &node.stop, &node.step};
  for (size_t i = 0; i < 3; ++i) {
    if (*nodes[i] == nullptr) continue;
    QEFF_ASSIGN_OR_RETURN(bounds[i], Evaluate(**nodes[i], scope));
  }
  QEFF_ASSIGN_OR_RETURN(const size_t length, object.is_text() || object.sequence() != nullptr
                                                 ? Length(object)
                                                 : Result<size_t>(size_t{0}));
  // A text is cut character by character.
  if (!budget_.Work(length) || !budget_.Reserve(length * sizeof(Value))) return Value();
  return Slice(object, bounds[0], bounds[1], bounds[2]);
}

Result<Arguments> Interpreter::EvaluateArguments(const CallArguments& nodes,
                                                 const ScopeRef& scope) {
  Arguments arguments;
  for (const ExpressionRef& node : nodes.positional) {
    QEFF_ASSIGN_OR_RETURN(Value value, Evaluate(*node, scope));
    arguments.positional.push_back(std::move(value));
  }
  for (const auto& [name, node] : nodes.keywords) {
    QEFF_ASSIGN_OR_RETURN(Value value, Evaluate(*node, scope));
    arguments.keywords.emplace_back(name, std::move(value));
  }
  if (nodes.spread_positional != nullptr) {
    QEFF_ASSIGN_OR_RETURN(const Value spread, Evaluate(*nodes.spread_positional, scope));
    QEFF_ASSIGN_OR_RETURN(const std::vector<Value> items, Items(spread));
    arguments.positional.insert(arguments.positional.end(), items.begin(), items.end());
  }
  if (nodes.spread_keywords != nullptr) {
    QEFF_ASSIGN_OR_RETURN(const Value spread, Evaluate(*nodes.spread_keywords, scope));
    if (spread.dictionary() == nullptr) {
      return OperationError(
          fmt::format("argument after ** must be a mapping, not {}", spread.TypeName()));
    }
    for (const auto& [key, value] : spread.dictionary()->entries()) {
      if (!key.is_text()) return OperationError("keywords must be strings");
      const auto is_there = [&](const auto& entry) { return entry.first == key.text(); };
      if (std::ranges::any_of(arguments.keywords, is_there)) {
        return OperationError(
            fmt::format("got multiple values for keyword argument '{}'", key.text()));
      }
      arguments.keywords.emplace_back(key.text(), value);
    }
  }
  for (const Value& value : arguments.positional) Charge(value);
  return arguments;
}

Result<Value> Interpreter::Call(const Value& callee, Arguments arguments) {
  if (callee.is_undefined()) return UndefinedError(callee);
  if (callee.object() == nullptr) {
    return OperationError(fmt::format("'{}' object is not callable", callee.TypeName()));
  }
  return callee.object()->Call(*this, std::move(arguments));
}

Result<Value> Interpreter::Visit(const CallExpression& node, const ScopeRef& scope) {
  QEFF_ASSIGN_OR_RETURN(const Value callee, Evaluate(*node.callee, scope));
  QEFF_ASSIGN_OR_RETURN(Arguments arguments, EvaluateArguments(node.arguments, scope));
  if (const auto* method = std::get_if<AttributeAccess>(&node.callee->form)) {
    // A method reads the value it belongs to, which is a name or cheap to look at again.
    if (const auto* name = std::get_if<Name>(&method->object->form)) {
      if (const Value* self = scope->Find(name->name)) Charge(*self);
    }
  }
  return Call(callee, std::move(arguments));
}

Result<Value> Interpreter::ApplyFilter(std::string_view name, const Value& value,
                                       const Arguments& arguments) {
  const FilterEntry* filter = FindFilter(name);
  if (filter == nullptr) return UnknownFilter({}, name);
  Charge(value);
  return filter->body(*this, value, arguments);
}

Result<bool> Interpreter::ApplyTest(std::string_view name, const Value& value,
                                    const Arguments& arguments) {
  const TestBody test = FindTest(name);
  if (test == nullptr) return UnknownTest({}, name);
  for (const Value& argument : arguments.positional) Charge(argument);
  return test(*this, value, arguments);
}

Result<Value> Interpreter::Visit(const FilterExpression& node, const ScopeRef& scope) {
  Value value;
  if (node.value == nullptr) {
    value = Value::FromText(filtered_text_);
  } else {
    QEFF_ASSIGN_OR_RETURN(value, Evaluate(*node.value, scope));
  }
  QEFF_ASSIGN_OR_RETURN(const Arguments arguments, EvaluateArguments(node.arguments, scope));
  return ApplyFilter(node.name, value, arguments);
}

Result<Value> Interpreter::FilterText(const Expression& filter, std::string text,
                                      const ScopeRef& scope) {
  budget_.Reserve(text.size());
  std::swap(filtered_text_, text);
  Result<Value> value = Evaluate(filter, scope);
  std::swap(filtered_text_, text);
  return value;
}

Result<Value> Interpreter::Visit(const TestExpression& node, const ScopeRef& scope) {
  QEFF_ASSIGN_OR_RETURN(const Value value, Evaluate(*node.value, scope));
  QEFF_ASSIGN_OR_RETURN(const Arguments arguments, EvaluateArguments(node.arguments, scope));
  QEFF_ASSIGN_OR_RETURN(const bool holds, ApplyTest(node.name, value, arguments));
  return Value::FromBool(holds != node.is_negated);
}

Result<Value> Interpreter::Visit(const UnaryExpression& node, const ScopeRef& scope) {
  QEFF_ASSIGN_OR_RETURN(const Value operand, Evaluate(*node.operand, scope));
  if (node.op == UnaryExpression::Operator::kNot) return Value::FromBool(!operand.IsTrue());
  return node.op == UnaryExpression::Operator::kNegate ? Negate(operand) : Plus(operand);
}

Result<Value> Interpreter::Visit(const BinaryExpression& node, const ScopeRef& scope) {
  QEFF_ASSIGN_OR_RETURN(const Value left, Evaluate(*node.left, scope));
  QEFF_ASSIGN_OR_RETURN(const Value right, Evaluate(*node.right, scope));
  Charge(left);
  Charge(right);
  return Apply(node.op, left, right, budget_);
}

Result<Value> Interpreter::Visit(const LogicalExpression& node, const ScopeRef& scope) {
  QEFF_ASSIGN_OR_RETURN(Value left, Evaluate(*node.left, scope));
  if (left.IsTrue() != node.is_and) return left;
  return Evaluate(*node.right, scope);
}

Result<Value> Interpreter::Visit(const Comparison& node, const ScopeRef& scope) {
  using Operator = Comparison::Operator;
  QEFF_ASSIGN_OR_RETURN(Value left, Evaluate(*node.first, scope));
  for (const auto& [op, right_node] : node.rest) {
    QEFF_ASSIGN_OR_RETURN(Value right, Evaluate(*right_node, scope));
    Charge(right);
    bool holds = false;
    if (op == Operator::kEqual || op == Operator::kNotEqual) {
      holds = Equal(left, right, budget_) == (op == Operator::kEqual);
    } else if (op == Operator::kIn || op == Operator::kNotIn) {
      QEFF_ASSIGN_OR_RETURN(const bool contains, Contains(right, left, budget_));
      holds = contains == (op == Operator::kIn);
    } else {
      const std::string_view symbol = op == Operator::kLess        ? "<"
                                      : op == Operator::kLessEqual ? "<="
                                      : op == Operator::kGreater   ? ">"
                                                                   : ">=";
      QEFF_ASSIGN_OR_RETURN(const std::partial_ordering order, Order(left, right, symbol, budget_));
      holds = op == Operator::kLess        ? order < 0
              : op == Operator::kLessEqual ? order <= 0
              : op == Operator::kGreater   ? order > 0
                                           : order >= 0;
    }
    if (!holds) return Value::FromBool(false);
    left = std::move(right);
  }
  return Value::FromBool(true);
}

Result<Value> Interpreter::Visit(const Concatenation& node, const ScopeRef& scope) {
  std::string text;
  for (const ExpressionRef& part : node.parts) {
    QEFF_ASSIGN_OR_RETURN(const Value value, Evaluate(*part, scope));
    text += ToText(value);
    QEFF_RETURN_IF_ERROR(CheckBudget(part->place));
  }
  budget_.Reserve(text.size());
  budget_.Work(text.size() / 256);
  return Value::FromText(std::move(text));
}

Result<Value> Interpreter::Visit(const Conditional& node, const ScopeRef& scope) {
  QEFF_ASSIGN_OR_RETURN(const Value condition, Evaluate(*node.condition, scope));
  if (condition.IsTrue()) return Evaluate(*node.then, scope);
  if (node.otherwise != nullptr) return Evaluate(*node.otherwise, scope);
  return Value::MakeUndefined(
      "the inline if-expression evaluated to false and no else section was defined");
}

}  // namespace qeff::jinja
