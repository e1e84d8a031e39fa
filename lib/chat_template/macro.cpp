// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/chat_template/macro.h"

#include <algorithm>

namespace qeff::jinja {
namespace {

/// Takes the keyword argument out of the list.
std::optional<Value> Take(std::vector<std::pair<std::string, Value>>& keywords,
                          std::string_view name) {
  const auto found = std::ranges::find(keywords, name, &std::pair<std::string, Value>::first);
  if (found == keywords.end()) return std::nullopt;
  Value value = std::move(found->second);
  keywords.erase(found);
  return value;
}

}  // namespace

std::optional<Value> Macro::Attribute(std::string_view name) const {
  if (name == "name") return Value::FromText(definition_->name);
  if (name == "catch_kwargs") return Value::FromBool(definition_->uses_kwargs);
  if (name == "catch_varargs") return Value::FromBool(definition_->uses_varargs);
  if (name == "caller") return Value::FromBool(definition_->uses_caller);
  if (name == "arguments") {
    std::vector<Value> names;
    for (const Parameter& parameter : definition_->parameters) {
      names.push_back(Value::FromText(parameter.name));
    }
    return Value::FromTuple(std::move(names));
  }
  return std::nullopt;
}

Result<Value> Macro::Call(Interpreter& interpreter, Arguments arguments) {
  if (closure_ == nullptr) return OperationError("the macro's template has ended");
  return interpreter.CallMacro(*definition_, closure_, std::move(arguments));
}

Result<Value> Interpreter::CallMacro(const MacroDefinition& macro, const ScopeRef& closure,
                                     Arguments arguments) {
  auto scope = std::make_shared<Scope>(Scope{closure, {}});
  const size_t count = macro.parameters.size();
  std::vector<std::optional<Value>> given(count);
  for (size_t i = 0; i < count; ++i) {
    if (i < arguments.positional.size()) {
      given[i] = arguments.positional[i];
    } else {
      given[i] = Take(arguments.keywords, macro.parameters[i].name);
    }
  }
  if (macro.uses_caller) {
    const std::optional<Value> caller = Take(arguments.keywords, "caller");
    scope->Set("caller", caller.value_or(Value::MakeUndefined("no caller defined")));
  }
  if (macro.uses_kwargs) {
    Dictionary rest;
    for (auto& [name, value] : arguments.keywords) {
      rest.Set(Value::FromText(name), std::move(value));
    }
    scope->Set("kwargs", Value::FromDictionary(std::move(rest)));
  } else if (!arguments.keywords.empty()) {
    return OperationError(fmt::format("macro '{}' takes no keyword argument '{}'", macro.name,
                                      arguments.keywords.front().first));
  }
  if (macro.uses_varargs) {
    std::vector<Value> rest;
    for (size_t i = count; i < arguments.positional.size(); ++i) {
      rest.push_back(arguments.positional[i]);
    }
    scope->Set("varargs", Value::FromTuple(std::move(rest)));
  } else if (arguments.positional.size() > count) {
    return OperationError(
        fmt::format("macro '{}' takes not more than {} argument(s)", macro.name, count));
  }
  // Defaults may use the parameters before them.
  for (size_t i = 0; i < count; ++i) {
    const Parameter& parameter = macro.parameters[i];
    if (!given[i].has_value() && parameter.default_value != nullptr) {
      QEFF_ASSIGN_OR_RETURN(given[i], Evaluate(*parameter.default_value, scope));
    }
    scope->Set(parameter.name, given[i].value_or(Value::MakeUndefined(fmt::format(
                                   "parameter '{}' was not provided", parameter.name))));
  }
  budget_.Reserve(sizeof(Scope) + count * sizeof(Value));
  std::string out;
  QEFF_RETURN_IF_ERROR(Execute(macro.body, scope, out).status());
  return Value::FromText(std::move(out));
}

Value Interpreter::MakeMacro(std::shared_ptr<const MacroDefinition> definition,
                             const ScopeRef& closure) {
  budget_.Reserve(sizeof(Macro));
  auto macro = std::make_shared<Macro>(std::move(definition), closure);
  macros_and_loops_.push_back(macro);
  return Value::FromObject(std::move(macro));
}

}  // namespace qeff::jinja
