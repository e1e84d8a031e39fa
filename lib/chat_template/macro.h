// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Macros as values, and the bodies of call blocks, which are macros too.
#pragma once

#include <memory>
#include <string>

#include "lib/chat_template/interpreter.h"
#include "lib/chat_template/syntax.h"
#include "lib/chat_template/value.h"

namespace qeff::jinja {

class Macro final : public Object {
 public:
  Macro(std::shared_ptr<const MacroDefinition> definition, ScopeRef closure)
      : definition_(std::move(definition)), closure_(std::move(closure)) {}
  std::string TypeName() const override { return "jinja2.runtime.Macro"; }
  std::string Represent(Budget&) const override {
    return fmt::format("<Macro '{}'>", definition_->name);
  }
  std::optional<Value> Attribute(std::string_view name) const override;
  bool is_callable() const override { return true; }
  Result<Value> Call(Interpreter& interpreter, Arguments arguments) override;
  void Release() { closure_ = nullptr; }

 private:
  std::shared_ptr<const MacroDefinition> definition_;
  ScopeRef closure_;
};

}  // namespace qeff::jinja
