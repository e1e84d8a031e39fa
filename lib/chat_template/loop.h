// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// `loop` inside a for block. Made by the interpreter.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/chat_template/interpreter.h"
#include "lib/chat_template/syntax.h"
#include "lib/chat_template/value.h"

namespace qeff::jinja {

class Loop final : public Object, public std::enable_shared_from_this<Loop> {
 public:
  /// `statement` must outlive the loop; `scope` is the one the loop stands in.
  Loop(std::vector<Value> items, int64_t depth, const ForStatement& statement, ScopeRef scope);

  std::string TypeName() const override { return "jinja2.runtime.LoopContext"; }
  std::string Represent(Budget& budget) const override;
  std::optional<Value> Attribute(std::string_view name) const override;
  std::optional<size_t> size() const override { return items_.size(); }
  bool is_callable() const override { return true; }
  /// Runs the body over other items, if the loop is `recursive`, and returns the text.
  Result<Value> Call(Interpreter& interpreter, Arguments arguments) override;
  int depth() const override { return value_depth_; }

  bool is_done() const { return index_ >= items_.size(); }
  void Advance() { ++index_; }
  const Value& current() const { return items_[index_]; }
  /// True if `values` differ from those of the last call.
  bool HasChanged(std::vector<Value> values, Budget& budget);
  size_t index() const { return index_; }
  void Release();

 private:
  std::vector<Value> items_;
  size_t index_ = 0;
  int64_t depth_;
  int value_depth_;
  const ForStatement& statement_;
  ScopeRef scope_;
  std::optional<std::vector<Value>> last_values_;
};

}  // namespace qeff::jinja
