// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Attributes and methods of numbers, lists, tuples and dictionaries.
#include <algorithm>
#include <cmath>
#include <span>

#include "lib/chat_template/interpreter.h"
#include "lib/chat_template/operators.h"
#include "lib/chat_template/string_methods.h"

namespace qeff::jinja {
namespace {

struct MethodEntry {
  std::string_view name;
  Function::Body body;
};

Result<Value> Get(Interpreter&, const Value& self, const Arguments& arguments) {
  QEFF_ASSIGN_OR_RETURN(auto bound, BindArguments("get", {"/key", "/default"}, 1, arguments));
  if (!bound[0]->IsHashable()) {
    return OperationError(fmt::format("unhashable type: '{}'", bound[0]->TypeName()));
  }
  const Value* found = self.dictionary()->Find(*bound[0]);
  return found != nullptr ? *found : bound[1].value_or(Value());
}

template <DictionaryView::Part kPart>
Result<Value> View(Interpreter&, const Value& self, const Arguments& arguments) {
  QEFF_RETURN_IF_ERROR(BindArguments("items", {}, 0, arguments).status());
  return Value::FromObject(std::make_shared<DictionaryView>(self, kPart));
}

Result<Value> Copy(Interpreter&, const Value& self, const Arguments& arguments) {
  QEFF_RETURN_IF_ERROR(BindArguments("copy", {}, 0, arguments).status());
  return self;  // values never change
}

Result<Value> CopyList(Interpreter& interpreter, const Value& self, const Arguments& arguments) {
  QEFF_RETURN_IF_ERROR(BindArguments("copy", {}, 0, arguments).status());
  interpreter.budget().Reserve(self.sequence()->items.size() * sizeof(Value));
  return Value::FromList(self.sequence()->items);
}

Result<Value> Count(Interpreter& interpreter, const Value& self, const Arguments& arguments) {
  QEFF_ASSIGN_OR_RETURN(auto bound, BindArguments("count", {"/value"}, 1, arguments));
  const auto equals = [&](const Value& item) {
    return Equal(item, *bound[0], interpreter.budget());
  };
  return Value::FromInteger(std::ranges::count_if(self.sequence()->items, equals));
}

Result<Value> Index(Interpreter& interpreter, const Value& self, const Arguments& arguments) {
  QEFF_ASSIGN_OR_RETURN(auto bound,
                        BindArguments("index", {"/value", "/start", "/stop"}, 1, arguments));
  const std::vector<Value>& items = self.sequence()->items;
  int64_t bounds[2] = {0, std::ssize(items)};
  for (size_t i = 0; i < 2; ++i) {
    if (!bound[i + 1].has_value()) continue;
    QEFF_ASSIGN_OR_RETURN(int64_t given, ToCount(*bound[i + 1]));
    if (given < 0) given = std::max<int64_t>(0, given + std::ssize(items));
    bounds[i] = std::min(given, std::ssize(items));
  }
  for (int64_t i = bounds[0]; i < bounds[1]; ++i) {
    if (Equal(items[static_cast<size_t>(i)], *bound[0], interpreter.budget())) {
      return Value::FromInteger(i);
    }
  }
  return OperationError(fmt::format("value is not in the {}", self.TypeName()));
}

Result<Value> Pop(Interpreter&, const Value& self, const Arguments& arguments) {
  QEFF_ASSIGN_OR_RETURN(auto bound, BindArguments("pop", {"/index"}, 0, arguments));
  QEFF_ASSIGN_OR_RETURN(int64_t index, ToCount(bound[0].value_or(Value::FromInteger(-1))));
  std::vector<Value>& items = self.list_items();
  if (items.empty()) return OperationError("pop from empty list");
  if (index < 0) index += std::ssize(items);
  if (index < 0 || index >= std::ssize(items)) return OperationError("pop index out of range");
  Value popped = std::move(items[static_cast<size_t>(index)]);
  items.erase(items.begin() + index);
  return popped;
}

Result<Value> Clear(Interpreter&, const Value& self, const Arguments& arguments) {
  QEFF_RETURN_IF_ERROR(BindArguments("clear", {}, 0, arguments).status());
  self.list_items().clear();
  return Value();
}

Result<Value> BitLength(Interpreter&, const Value& self, const Arguments&) {
  const Integer value = self.integer();
  unsigned __int128 rest = value < 0 ? -static_cast<unsigned __int128>(value) : value;
  int64_t bits = 0;
  for (; rest != 0; rest >>= 1) ++bits;
  return Value::FromInteger(bits);
}

Result<Value> IsWhole(Interpreter&, const Value& self, const Arguments&) {
  return Value::FromBool(std::isfinite(self.number()) &&
                         std::trunc(self.number()) == self.number());
}

constexpr MethodEntry kOfDictionaries[] = {
    {"copy", Copy},
    {"get", Get},
    {"items", View<DictionaryView::Part::kItems>},
    {"keys", View<DictionaryView::Part::kKeys>},
    {"values", View<DictionaryView::Part::kValues>},
};
constexpr MethodEntry kOfLists[] = {
    {"clear", Clear}, {"copy", CopyList}, {"count", Count}, {"index", Index}, {"pop", Pop}};
constexpr MethodEntry kOfTuples[] = {{"count", Count}, {"index", Index}};
constexpr MethodEntry kOfIntegers[] = {{"bit_length", BitLength}, {"conjugate", Copy}};
constexpr MethodEntry kOfFloats[] = {{"conjugate", Copy}, {"is_integer", IsWhole}};

std::span<const MethodEntry> MethodsOf(const Value& value) {
  if (value.dictionary() != nullptr) return kOfDictionaries;
  if (value.is_list()) return kOfLists;
  if (value.is_tuple()) return kOfTuples;
  if (value.is_integer()) return kOfIntegers;
  if (value.is_float()) return kOfFloats;
  return {};
}

}  // namespace

std::optional<Value> PlainAttribute(const Value& value, std::string_view name) {
  Function::Body body = nullptr;
  if (value.is_text()) {
    body = FindStringMethod(name);
  } else {
    const std::span<const MethodEntry> methods = MethodsOf(value);
    const auto found = std::ranges::find(methods, name, &MethodEntry::name);
    if (found != methods.end()) body = found->body;
  }
  if (body != nullptr) {
    return Value::FromObject(std::make_shared<Function>(std::string(name), body, value));
  }
  if (value.is_tuple() && value.sequence()->is_group) {
    if (name == "grouper") return value.sequence()->items[0];
    if (name == "list") return value.sequence()->items[1];
  }
  if (!value.is_number()) return std::nullopt;
  if (name == "real") return value;
  if (name == "imag") return value.is_float() ? Value::FromFloat(0) : Value::FromInteger(0);
  if (name == "numerator" && value.is_integer()) return Value::FromInteger(value.integer());
  if (name == "denominator" && value.is_integer()) return Value::FromInteger(1);
  return std::nullopt;
}

}  // namespace qeff::jinja
