// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/chat_template/loop.h"

#include <algorithm>

#include "lib/chat_template/operators.h"

namespace qeff::jinja {
namespace {

Result<Value> Cycle(Interpreter&, const Value& self, const Arguments& arguments) {
  if (arguments.positional.empty()) return OperationError("no items for cycling given");
  const size_t index = self.As<Loop>()->index();
  return arguments.positional[index % arguments.positional.size()];
}

Result<Value> Changed(Interpreter& interpreter, const Value& self, const Arguments& arguments) {
  return Value::FromBool(self.As<Loop>()->HasChanged(arguments.positional, interpreter.budget()));
}

}  // namespace

Loop::Loop(std::vector<Value> items, int64_t depth, const ForStatement& statement, ScopeRef scope)
    : items_(std::move(items)),
      depth_(depth),
      value_depth_(Value::FromList(items_).depth()),
      statement_(statement),
      scope_(std::move(scope)) {}

std::string Loop::Represent(Budget&) const {
  return fmt::format("<LoopContext {}/{}>", index_ + 1, items_.size());
}

std::optional<Value> Loop::Attribute(std::string_view name) const {
  const auto length = static_cast<Integer>(items_.size());
  const auto index = static_cast<Integer>(index_);
  if (name == "index") return Value::FromInteger(index + 1);
  if (name == "index0") return Value::FromInteger(index);
  if (name == "revindex") return Value::FromInteger(length - index);
  if (name == "revindex0") return Value::FromInteger(length - index - 1);
  if (name == "first") return Value::FromBool(index == 0);
  if (name == "last") return Value::FromBool(index + 1 == length);
  if (name == "length") return Value::FromInteger(length);
  if (name == "depth") return Value::FromInteger(depth_ + 1);
  if (name == "depth0") return Value::FromInteger(depth_);
  if (name == "previtem") {
    return index_ > 0 ? items_[index_ - 1] : Value::MakeUndefined("there is no previous item");
  }
  if (name == "nextitem") {
    return index_ + 1 < items_.size() ? items_[index_ + 1]
                                      : Value::MakeUndefined("there is no next item");
  }
  const Value self = Value::FromObject(std::const_pointer_cast<Loop>(shared_from_this()));
  if (name == "cycle") {
    return Value::FromObject(std::make_shared<Function>("cycle", Cycle, self));
  }
  if (name == "changed") {
    return Value::FromObject(std::make_shared<Function>("changed", Changed, self));
  }
  return std::nullopt;
}

Result<Value> Loop::Call(Interpreter& interpreter, Arguments arguments) {
  if (!statement_.is_recursive) {
    return OperationError("the loop must have the 'recursive' marker to be called");
  }
  QEFF_ASSIGN_OR_RETURN(auto bound, BindArguments("loop", {"iterable"}, 1, arguments));
  QEFF_ASSIGN_OR_RETURN(std::vector<Value> items, Items(*bound[0]));
  if (scope_ == nullptr) return OperationError("the loop has ended");
  std::string out;
  QEFF_RETURN_IF_ERROR(interpreter.RunLoop(statement_, scope_, std::move(items), depth_ + 1, out));
  return Value::FromText(std::move(out));
}

bool Loop::HasChanged(std::vector<Value> values, Budget& budget) {
  const bool is_same =
      last_values_.has_value() &&
      std::ranges::equal(*last_values_, values,
                         [&](const Value& a, const Value& b) { return Equal(a, b, budget); });
  last_values_ = std::move(values);
  return !is_same;
}

void Loop::Release() {
  last_values_.reset();
  items_.clear();
  scope_ = nullptr;
}

}  // namespace qeff::jinja
