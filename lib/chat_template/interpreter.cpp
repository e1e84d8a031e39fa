// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Statements. Expressions are in evaluate.cpp.
#include "lib/chat_template/interpreter.h"

#include <algorithm>

#include "lib/chat_template/loop.h"
#include "lib/chat_template/macro.h"
#include "lib/chat_template/operators.h"
#include "lib/chat_template/value_text.h"

namespace qeff::jinja {

const Value* Scope::Find(std::string_view name) const {
  for (const Scope* scope = this; scope != nullptr; scope = scope->parent.get()) {
    const auto found = std::ranges::find(scope->names, name, &std::pair<std::string, Value>::first);
    if (found != scope->names.end()) return &found->second;
  }
  return nullptr;
}

void Scope::Set(std::string_view name, Value value) {
  const auto found = std::ranges::find(names, name, &std::pair<std::string, Value>::first);
  if (found != names.end()) {
    found->second = std::move(value);
  } else {
    names.emplace_back(name, std::move(value));
  }
}

Interpreter::Interpreter(std::string path, std::tm now)
    : path_(std::move(path)), now_(now), root_(std::make_shared<Scope>()) {}

Interpreter::~Interpreter() {
  // Namespaces, macros and loops can hold each other in circles, and in chains of any length:
  // each is emptied while all are still alive.
  for (const auto& object : namespaces_) object->attributes = {};
  for (const auto& object : macros_and_loops_) {
    if (Macro* macro = dynamic_cast<Macro*>(object.get())) macro->Release();
    if (Loop* loop = dynamic_cast<Loop*>(object.get())) loop->Release();
  }
  root_->names.clear();
}

Result<std::string> Interpreter::Run(const Body& body, const Value& variables) {
  auto globals = std::make_shared<Scope>();
  globals->names = GlobalNames();
  for (const auto& [name, value] : variables.dictionary()->entries()) {
    globals->Set(name.text(), value);
  }
  root_->parent = std::move(globals);
  std::string out;
  QEFF_RETURN_IF_ERROR(Execute(body, root_, out).status());
  return out;
}

Status Interpreter::Write(std::string_view text, std::string& out) {
  if (budget_.Reserve(text.size())) out += text;
  return Status::Ok();
}

Result<Interpreter::Flow> Interpreter::Execute(const Body& body, const ScopeRef& scope,
                                               std::string& out) {
  for (const Statement& statement : body) {
    if (depth_ >= kMaxDepth) return TooDeep(statement.place);
    ++depth_;
    Result<Flow> flow = ExecuteOne(statement, scope, out);
    --depth_;
    if (!flow.ok()) return WithPlace(std::move(flow).status(), statement.place);
    QEFF_RETURN_IF_ERROR(CheckBudget(statement.place));
    if (*flow != Flow::kNext) return *flow;
  }
  return Flow::kNext;
}

Result<Interpreter::Flow> Interpreter::ExecuteOne(const Statement& statement, const ScopeRef& scope,
                                                  std::string& out) {
  budget_.Work(1);
  const auto& form = statement.form;
  if (const auto* text = std::get_if<TextOutput>(&form)) {
    QEFF_RETURN_IF_ERROR(Write(text->text, out));
  } else if (const auto* output = std::get_if<Output>(&form)) {
    QEFF_ASSIGN_OR_RETURN(const Value value, Evaluate(*output->value, scope));
    QEFF_RETURN_IF_ERROR(Write(ToText(value), out));
  } else if (const auto* choice = std::get_if<IfStatement>(&form)) {
    return ExecuteIf(*choice, scope, out);
  } else if (const auto* loop = std::get_if<ForStatement>(&form)) {
    QEFF_RETURN_IF_ERROR(ExecuteFor(*loop, scope, out));
  } else if (const auto* set = std::get_if<SetStatement>(&form)) {
    QEFF_RETURN_IF_ERROR(ExecuteSet(*set, scope));
  } else if (const auto* with = std::get_if<WithStatement>(&form)) {
    return ExecuteWith(*with, scope, out);
  } else if (const auto* macro = std::get_if<MacroStatement>(&form)) {
    scope->Set(macro->macro->name, MakeMacro(macro->macro, scope));
  } else if (const auto* call = std::get_if<CallStatement>(&form)) {
    QEFF_RETURN_IF_ERROR(ExecuteCall(*call, scope, out));
  } else if (const auto* filter = std::get_if<FilterStatement>(&form)) {
    const auto inner = std::make_shared<Scope>(Scope{scope, {}});
    std::string text;
    QEFF_ASSIGN_OR_RETURN(const Flow flow, Execute(filter->body, inner, text));
    QEFF_ASSIGN_OR_RETURN(const Value value, FilterText(*filter->filter, std::move(text), inner));
    QEFF_RETURN_IF_ERROR(Write(ToText(value), out));
    return flow;
  } else if (const auto* block = std::get_if<ScopeStatement>(&form)) {
    const ScopeRef& parent = block->sees_template_scope_only ? root_ : scope;
    return Execute(block->body, std::make_shared<Scope>(Scope{parent, {}}), out);
  } else if (const auto* control = std::get_if<LoopControl>(&form)) {
    return control->is_break ? Flow::kBreak : Flow::kContinue;
  } else if (const auto* refused = std::get_if<RefusedStatement>(&form)) {
    return Unsupported(
        {}, fmt::format("'{}' is not supported: a chat template is one file", refused->name));
  }
  return Flow::kNext;
}

Result<Interpreter::Flow> Interpreter::ExecuteIf(const IfStatement& choice, const ScopeRef& scope,
                                                 std::string& out) {
  for (const auto& [condition, body] : choice.branches) {
    QEFF_ASSIGN_OR_RETURN(const Value value, Evaluate(*condition, scope));
    if (value.IsTrue()) return Execute(body, scope, out);
  }
  return Execute(choice.otherwise, scope, out);
}

Status Interpreter::ExecuteSet(const SetStatement& set, const ScopeRef& scope) {
  if (set.value != nullptr) {
    QEFF_ASSIGN_OR_RETURN(const Value value, Evaluate(*set.value, scope));
    return Assign(set.target, value, scope);
  }
  const auto inner = std::make_shared<Scope>(Scope{scope, {}});
  std::string text;
  QEFF_RETURN_IF_ERROR(Execute(set.body, inner, text).status());
  if (set.filter == nullptr) return Assign(set.target, Value::FromText(std::move(text)), scope);
  QEFF_ASSIGN_OR_RETURN(const Value value, FilterText(*set.filter, std::move(text), inner));
  return Assign(set.target, value, scope);
}

Result<Interpreter::Flow> Interpreter::ExecuteWith(const WithStatement& with, const ScopeRef& scope,
                                                   std::string& out) {
  const auto inner = std::make_shared<Scope>(Scope{scope, {}});
  for (const auto& [target, expression] : with.assignments) {
    QEFF_ASSIGN_OR_RETURN(const Value value, Evaluate(*expression, scope));
    QEFF_RETURN_IF_ERROR(Assign(target, value, inner));
  }
  return Execute(with.body, inner, out);
}

Status Interpreter::Assign(const Target& target, const Value& value, const ScopeRef& scope) {
  if (target.is_tuple) {
    Result<std::vector<Value>> items = Items(value);
    if (!items.ok()) {
      return WithPlace(
          OperationError(fmt::format("cannot unpack non-iterable {} object", value.TypeName())),
          target.place);
    }
    if (items->size() != target.parts.size()) {
      return WithPlace(OperationError(fmt::format("expected {} values to unpack, got {}",
                                                  target.parts.size(), items->size())),
                       target.place);
    }
    for (size_t i = 0; i < target.parts.size(); ++i) {
      QEFF_RETURN_IF_ERROR(Assign(target.parts[i], (*items)[i], scope));
    }
    return Status::Ok();
  }
  if (target.attribute.empty()) {
    scope->Set(target.name, value);
    return Status::Ok();
  }
  const Value* object = scope->Find(target.name);
  Namespace* names = object == nullptr ? nullptr : object->As<Namespace>();
  if (names == nullptr) {
    return WithPlace(OperationError(fmt::format("cannot assign attribute '{}' of '{}', which is no "
                                                "namespace",
                                                target.attribute, target.name)),
                     target.place);
  }
  budget_.Reserve(sizeof(Value));
  names->attributes.Set(Value::FromText(target.attribute), value);
  return Status::Ok();
}

Result<std::vector<Value>> Interpreter::SelectItems(const ForStatement& loop, const ScopeRef& scope,
                                                    std::vector<Value> items) {
  if (loop.condition == nullptr) return items;
  std::vector<Value> selected;
  for (Value& item : items) {
    const auto inner = std::make_shared<Scope>(Scope{scope, {}});
    QEFF_RETURN_IF_ERROR(Assign(loop.target, item, inner));
    QEFF_ASSIGN_OR_RETURN(const Value holds, Evaluate(*loop.condition, inner));
    if (holds.IsTrue()) selected.push_back(std::move(item));
  }
  return selected;
}

Status Interpreter::ExecuteFor(const ForStatement& loop, const ScopeRef& scope, std::string& out) {
  QEFF_ASSIGN_OR_RETURN(const Value iterable, Evaluate(*loop.iterable, scope));
  Charge(iterable);
  QEFF_ASSIGN_OR_RETURN(std::vector<Value> items, Items(iterable));
  return RunLoop(loop, scope, std::move(items), 0, out);
}

Status Interpreter::RunLoop(const ForStatement& loop, const ScopeRef& scope,
                            std::vector<Value> items, int64_t depth, std::string& out) {
  QEFF_ASSIGN_OR_RETURN(std::vector<Value> selected, SelectItems(loop, scope, std::move(items)));
  if (!budget_.Reserve(selected.size() * sizeof(Value))) return Status::Ok();
  const bool is_empty = selected.empty();
  const auto state = std::make_shared<Loop>(std::move(selected), depth, loop, scope);
  macros_and_loops_.push_back(state);
  for (; !state->is_done(); state->Advance()) {
    const auto inner = std::make_shared<Scope>(Scope{scope, {}});
    budget_.Reserve(sizeof(Scope));
    inner->Set("loop", Value::FromObject(state));
    QEFF_RETURN_IF_ERROR(Assign(loop.target, state->current(), inner));
    QEFF_ASSIGN_OR_RETURN(const Flow flow, Execute(loop.body, inner, out));
    if (flow == Flow::kBreak) break;
  }
  if (!is_empty) return Status::Ok();
  return Execute(loop.otherwise, std::make_shared<Scope>(Scope{scope, {}}), out).status();
}

Status Interpreter::ExecuteCall(const CallStatement& statement, const ScopeRef& scope,
                                std::string& out) {
  const auto& call = std::get<CallExpression>(statement.call->form);
  QEFF_ASSIGN_OR_RETURN(const Value callee, Evaluate(*call.callee, scope));
  QEFF_ASSIGN_OR_RETURN(Arguments arguments, EvaluateArguments(call.arguments, scope));
  arguments.keywords.emplace_back("caller", MakeMacro(statement.caller, scope));
  Result<Value> value = Call(callee, std::move(arguments));
  if (!value.ok()) return WithPlace(std::move(value).status(), statement.call->place);
  return Write(ToText(*value), out);
}

std::string Interpreter::ToText(const Value& value) { return jinja::ToText(value, budget_); }

}  // namespace qeff::jinja
