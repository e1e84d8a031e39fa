// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/chat_template/operators.h"

#include <cmath>

#include "lib/chat_template/format.h"
#include "lib/chat_template/markup.h"
#include "lib/chat_template/unicode_text.h"
#include "lib/chat_template/value_text.h"

namespace qeff::jinja {
namespace {

std::string_view Symbol(BinaryOperator op) {
  switch (op) {
    case BinaryOperator::kAdd:
      return "+";
    case BinaryOperator::kSubtract:
      return "-";
    case BinaryOperator::kMultiply:
      return "*";
    case BinaryOperator::kDivide:
      return "/";
    case BinaryOperator::kFloorDivide:
      return "//";
    case BinaryOperator::kModulo:
      return "%";
    case BinaryOperator::kPower:
      break;
  }
  return "** or pow()";
}

Status BadOperands(BinaryOperator op, const Value& left, const Value& right) {
  if (op == BinaryOperator::kAdd && left.is_text()) {
    return OperationError(
        fmt::format("can only concatenate str (not \"{}\") to str", right.TypeName()));
  }
  if (op == BinaryOperator::kAdd && left.sequence() != nullptr) {
    return OperationError(fmt::format("can only concatenate {0} (not \"{1}\") to {0}",
                                      left.TypeName(), right.TypeName()));
  }
  return OperationError(fmt::format("unsupported operand type(s) for {}: '{}' and '{}'", Symbol(op),
                                    left.TypeName(), right.TypeName()));
}

Status TooLarge() { return OperationError("integer beyond 128 bits"); }

/// Rounds towards minus infinity, as Python does.
Integer FloorDivide(Integer left, Integer right) {
  const Integer quotient = left / right;
  return left % right != 0 && (left < 0) != (right < 0) ? quotient - 1 : quotient;
}

double FloorModulo(double left, double right) {
  double rest = std::fmod(left, right);
  if (rest != 0) {
    if ((rest < 0) != (right < 0)) rest += right;
  } else {
    rest = std::copysign(0.0, right);
  }
  return rest;
}

double FloorDivide(double left, double right) {
  const double rest = FloorModulo(left, right);
  const double quotient = (left - rest) / right;
  if (quotient == 0) return std::copysign(0.0, left / right);
  const double floored = std::floor(quotient);
  return quotient - floored > 0.5 ? floored + 1 : floored;
}

Result<Value> IntegerPower(Integer base, Integer exponent) {
  if (exponent < 0) {
    if (base == 0) return OperationError("0.0 cannot be raised to a negative power");
    return Value::FromFloat(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  }
  Integer result = 1;
  for (; exponent > 0; exponent >>= 1) {
    if ((exponent & 1) != 0 && __builtin_mul_overflow(result, base, &result)) return TooLarge();
    if (exponent > 1 && __builtin_mul_overflow(base, base, &base)) return TooLarge();
  }
  return Value::FromInteger(result);
}

Result<Value> ApplyToIntegers(BinaryOperator op, Integer left, Integer right) {
  Integer result = 0;
  bool overflows = false;
  switch (op) {
    case BinaryOperator::kAdd:
      overflows = __builtin_add_overflow(left, right, &result);
      break;
    case BinaryOperator::kSubtract:
      overflows = __builtin_sub_overflow(left, right, &result);
      break;
    case BinaryOperator::kMultiply:
      overflows = __builtin_mul_overflow(left, right, &result);
      break;
    case BinaryOperator::kDivide:
      if (right == 0) return OperationError("division by zero");
      return Value::FromFloat(static_cast<double>(left) / static_cast<double>(right));
    case BinaryOperator::kFloorDivide:
    case BinaryOperator::kModulo:
      if (right == 0) return OperationError("integer division or modulo by zero");
      if (right == -1) {  // the only quotient that can leave the type
        if (op == BinaryOperator::kModulo) return Value::FromInteger(0);
        overflows = __builtin_sub_overflow(Integer{0}, left, &result);
        break;
      }
      result = FloorDivide(left, right);
      if (op == BinaryOperator::kModulo) result = left - result * right;
      break;
    case BinaryOperator::kPower:
      return IntegerPower(left, right);
  }
  if (overflows) return TooLarge();
  return Value::FromInteger(result);
}

Result<Value> ApplyToFloats(BinaryOperator op, double left, double right) {
  switch (op) {
    case BinaryOperator::kAdd:
      return Value::FromFloat(left + right);
    case BinaryOperator::kSubtract:
      return Value::FromFloat(left - right);
    case BinaryOperator::kMultiply:
      return Value::FromFloat(left * right);
    case BinaryOperator::kDivide:
      if (right == 0) return OperationError("float division by zero");
      return Value::FromFloat(left / right);
    case BinaryOperator::kFloorDivide:
      if (right == 0) return OperationError("float floor division by zero");
      return Value::FromFloat(FloorDivide(left, right));
    case BinaryOperator::kModulo:
      if (right == 0) return OperationError("float modulo");
      return Value::FromFloat(FloorModulo(left, right));
    case BinaryOperator::kPower:
      break;
  }
  if (left == 0 && right < 0) {
    return OperationError("0.0 cannot be raised to a negative power");
  }
  if (left < 0 && std::isfinite(right) && std::trunc(right) != right) {
    return OperationError("complex numbers are not supported");
  }
  const double power = std::pow(left, right);
  if (std::isinf(power) && std::isfinite(left) && std::isfinite(right)) {
    return OperationError("numerical result out of range");
  }
  return Value::FromFloat(power);
}

Result<Value> Repeat(const Value& value, Integer count, Budget& budget) {
  const size_t copies = count <= 0                   ? 0
                        : count > Integer{INT64_MAX} ? size_t{INT64_MAX}
                                                     : static_cast<size_t>(count);
  if (value.is_text()) {
    if (value.text().empty() || !budget.Reserve(copies, value.text().size())) {
      return Value::FromText("");
    }
    std::string repeated;
    repeated.reserve(copies * value.text().size());
    for (size_t i = 0; i < copies; ++i) repeated += value.text();
    return value.is_markup() ? Value::FromMarkup(std::move(repeated))
                             : Value::FromText(std::move(repeated));
  }
  const std::vector<Value>& items = value.sequence()->items;
  std::vector<Value> repeated;
  if (!items.empty() && budget.Reserve(copies, items.size() * sizeof(Value)) &&
      budget.Work(copies * items.size())) {
    for (size_t i = 0; i < copies; ++i) {
      repeated.insert(repeated.end(), items.begin(), items.end());
    }
  }
  return value.is_tuple() ? Value::FromTuple(std::move(repeated))
                          : Value::FromList(std::move(repeated));
}

bool IsRepeatable(const Value& value) { return value.is_text() || value.sequence() != nullptr; }

/// Makes slice indices of Python's rules: negative ones count from the end, all are cut to size.
int64_t CutBound(const Value& bound, int64_t length, int64_t low, int64_t high, int64_t absent) {
  if (bound.is_none()) return absent;
  Integer index = bound.integer();
  if (index < 0) index += length;
  return static_cast<int64_t>(std::clamp<Integer>(index, low, high));
}

/// A part of a range is a range.
Value SliceRange(const Range& range, int64_t first, int64_t last, int64_t stride) {
  const Integer origin = range.Attribute("start")->integer();
  const Integer step = range.Attribute("step")->integer();
  std::vector<Value> items;
  for (int64_t i = first; stride > 0 ? i < last : i > last; i += stride) {
    items.push_back(range.items()[static_cast<size_t>(i)]);
  }
  return Value::FromObject(std::make_shared<Range>(origin + first * step, origin + last * step,
                                                   step * stride, std::move(items)));
}

bool EqualDictionaries(const Dictionary& left, const Dictionary& right, Budget& budget) {
  if (left.size() != right.size()) return false;
  return std::ranges::all_of(left.entries(), [&](const auto& entry) {
    const Value* other = right.Find(entry.first);
    return other != nullptr && Equal(entry.second, *other, budget);
  });
}

}  // namespace

Status UndefinedError(const Value& value) { return OperationError(*value.undefined().message); }

Result<Value> Apply(BinaryOperator op, const Value& left, const Value& right, Budget& budget) {
  if (left.is_undefined()) return UndefinedError(left);
  if (op == BinaryOperator::kModulo && left.is_text()) return FormatPercent(left, right, budget);
  if (right.is_undefined()) return UndefinedError(right);
  if (left.is_integer() && right.is_integer()) {
    return ApplyToIntegers(op, left.integer(), right.integer());
  }
  if (left.is_number() && right.is_number()) {
    return ApplyToFloats(op, left.number(), right.number());
  }
  if (op == BinaryOperator::kAdd && left.is_text() && right.is_text()) {
    if (!budget.Reserve(left.text().size() + right.text().size())) return Value();
    if (left.is_markup() || right.is_markup()) {
      return Value::FromMarkup(EscapeUnlessMarkup(left) + EscapeUnlessMarkup(right));
    }
    return Value::FromText(left.text() + right.text());
  }
  if (op == BinaryOperator::kAdd && left.sequence() != nullptr && right.sequence() != nullptr &&
      left.is_tuple() == right.is_tuple()) {
    std::vector<Value> items = left.sequence()->items;
    const std::vector<Value>& more = right.sequence()->items;
    if (!budget.Reserve((items.size() + more.size()) * sizeof(Value))) return Value();
    items.insert(items.end(), more.begin(), more.end());
    return left.is_tuple() ? Value::FromTuple(std::move(items)) : Value::FromList(std::move(items));
  }
  if (op == BinaryOperator::kMultiply) {
    if (IsRepeatable(left) && right.is_integer()) return Repeat(left, right.integer(), budget);
    if (IsRepeatable(right) && left.is_integer()) return Repeat(right, left.integer(), budget);
    if (IsRepeatable(left)) {
      return OperationError(
          fmt::format("can't multiply sequence by non-int of type '{}'", right.TypeName()));
    }
    if (IsRepeatable(right)) {
      return OperationError(
          fmt::format("can't multiply sequence by non-int of type '{}'", left.TypeName()));
    }
  }
  return BadOperands(op, left, right);
}

Result<Value> Negate(const Value& value) {
  if (value.is_undefined()) return UndefinedError(value);
  if (value.is_integer()) return ApplyToIntegers(BinaryOperator::kSubtract, 0, value.integer());
  if (value.is_float()) return Value::FromFloat(-value.number());
  return OperationError(fmt::format("bad operand type for unary -: '{}'", value.TypeName()));
}

Result<Value> Plus(const Value& value) {
  if (value.is_undefined()) return UndefinedError(value);
  if (value.is_integer()) return Value::FromInteger(value.integer());
  if (value.is_float()) return value;
  return OperationError(fmt::format("bad operand type for unary +: '{}'", value.TypeName()));
}

bool Equal(const Value& left, const Value& right, Budget& budget) {
  if (!budget.Work(1)) return false;
  if (left.is_integer() && right.is_integer()) return left.integer() == right.integer();
  if (left.is_number() && right.is_number()) return left.number() == right.number();
  if (left.is_text() && right.is_text()) return left.text() == right.text();
  if (left.is_none() || right.is_none()) return left.is_none() && right.is_none();
  if (left.is_undefined() || right.is_undefined()) {
    return left.is_undefined() && right.is_undefined();
  }
  if (left.sequence() != nullptr && right.sequence() != nullptr) {
    if (left.is_tuple() != right.is_tuple()) return false;
    if (left.sequence() == right.sequence()) return true;
    return std::ranges::equal(left.sequence()->items, right.sequence()->items,
                              [&](const Value& a, const Value& b) { return Equal(a, b, budget); });
  }
  if (left.dictionary() != nullptr && right.dictionary() != nullptr) {
    return left.dictionary() == right.dictionary() ||
           EqualDictionaries(*left.dictionary(), *right.dictionary(), budget);
  }
  if (const Range* range = left.As<Range>(); range != nullptr && right.As<Range>() != nullptr) {
    return std::ranges::equal(range->items(), right.As<Range>()->items(), {}, &Value::integer,
                              &Value::integer);
  }
  return left.object() != nullptr && left.object() == right.object();
}

Result<std::partial_ordering> Order(const Value& left, const Value& right, std::string_view symbol,
                                    Budget& budget) {
  if (!budget.Work(1)) return std::partial_ordering::equivalent;
  if (left.is_undefined()) return UndefinedError(left);
  if (right.is_undefined()) return UndefinedError(right);
  if (left.is_integer() && right.is_integer()) {
    return std::partial_ordering(left.integer() <=> right.integer());
  }
  if (left.is_number() && right.is_number()) return left.number() <=> right.number();
  // Bytes of UTF-8 are ordered as their characters are.
  if (left.is_text() && right.is_text()) {
    return std::partial_ordering(left.text() <=> right.text());
  }
  if (left.sequence() != nullptr && right.sequence() != nullptr &&
      left.is_tuple() == right.is_tuple()) {
    const std::vector<Value>& a = left.sequence()->items;
    const std::vector<Value>& b = right.sequence()->items;
    for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
      if (!Equal(a[i], b[i], budget)) return Order(a[i], b[i], symbol, budget);
    }
    return std::partial_ordering(a.size() <=> b.size());
  }
  return OperationError(fmt::format("'{}' not supported between instances of '{}' and '{}'", symbol,
                                    left.TypeName(), right.TypeName()));
}

Result<bool> Contains(const Value& container, const Value& item, Budget& budget) {
  if (container.is_undefined()) return false;
  if (container.is_text()) {
    if (!item.is_text()) {
      return OperationError(
          fmt::format("'in <string>' requires string as left operand, not {}", item.TypeName()));
    }
    return container.text().find(item.text()) != std::string::npos;
  }
  if (const Dictionary* dictionary = container.dictionary()) {
    if (!item.IsHashable()) {
      return OperationError(fmt::format("unhashable type: '{}'", item.TypeName()));
    }
    return dictionary->Find(item) != nullptr;
  }
  if (!IsIterable(container)) {
    return OperationError(
        fmt::format("argument of type '{}' is not iterable", container.TypeName()));
  }
  if (Iterator* iterator = container.As<Iterator>()) {  // the rest stays for later
    while (std::optional<Value> next = iterator->Next()) {
      if (Equal(*next, item, budget)) return true;
    }
    return false;
  }
  QEFF_ASSIGN_OR_RETURN(const std::vector<Value> items, Items(container));
  return std::ranges::any_of(items, [&](const Value& v) { return Equal(v, item, budget); });
}

bool IsIterable(const Value& value) {
  return value.is_undefined() || value.is_text() || value.sequence() != nullptr ||
         value.dictionary() != nullptr ||
         (value.object() != nullptr && value.object()->is_iterable());
}

Result<std::vector<Value>> Items(const Value& value) {
  std::vector<Value> items;
  if (value.is_undefined()) return items;
  if (const Sequence* sequence = value.sequence()) return sequence->items;
  if (value.is_text()) {
    for (std::string& character : Characters(value.text())) {
      items.push_back(Value::FromText(std::move(character)));
    }
    return items;
  }
  if (const Dictionary* dictionary = value.dictionary()) {
    for (const auto& [key, item] : dictionary->entries()) items.push_back(key);
    return items;
  }
  if (value.object() != nullptr && value.object()->is_iterable()) {
    return value.object()->TakeItems();
  }
  return OperationError(fmt::format("'{}' object is not iterable", value.TypeName()));
}

Result<size_t> Length(const Value& value) {
  if (value.is_undefined()) return size_t{0};
  if (value.is_text()) return CountCharacters(value.text());
  if (value.sequence() != nullptr) return value.sequence()->items.size();
  if (value.dictionary() != nullptr) return value.dictionary()->size();
  if (value.object() != nullptr && value.object()->size().has_value()) {
    return *value.object()->size();
  }
  return OperationError(fmt::format("object of type '{}' has no len()", value.TypeName()));
}

std::optional<Value> Element(const Value& value, const Value& index) {
  if (const Dictionary* dictionary = value.dictionary()) {
    const Value* found = index.IsHashable() ? dictionary->Find(index) : nullptr;
    return found == nullptr ? std::nullopt : std::optional<Value>(*found);
  }
  if (!index.is_integer()) return std::nullopt;
  const auto pick = [&](size_t count) -> std::optional<size_t> {
    Integer position = index.integer();
    if (position < 0) position += static_cast<Integer>(count);
    if (position < 0 || position >= static_cast<Integer>(count)) return std::nullopt;
    return static_cast<size_t>(position);
  };
  if (value.is_text()) {
    const std::string& text = value.text();
    const std::optional<size_t> position = pick(CountCharacters(text));
    if (!position.has_value()) return std::nullopt;
    const size_t begin = ByteOffset(text, *position);
    return Value::FromText(text.substr(begin, CharacterBytes(text[begin])));
  }
  const Range* range = value.As<Range>();
  if (value.sequence() == nullptr && range == nullptr) return std::nullopt;
  const std::vector<Value>& items = range != nullptr ? range->items() : value.sequence()->items;
  const std::optional<size_t> position = pick(items.size());
  return position.has_value() ? std::optional<Value>(items[*position]) : std::nullopt;
}

Result<Value> Slice(const Value& value, const Value& start, const Value& stop, const Value& step) {
  if (value.is_undefined()) return UndefinedError(value);
  const bool has_items =
      value.sequence() != nullptr || value.is_text() || value.As<Range>() != nullptr;
  if (!has_items) {
    return OperationError(fmt::format("'{}' object is not subscriptable", value.TypeName()));
  }
  for (const Value* bound : {&start, &stop, &step}) {
    if (!bound->is_none() && !bound->is_integer()) {
      return OperationError("slice indices must be integers or None");
    }
  }
  const int64_t stride = step.is_none() ? 1 : CutBound(step, 0, INT32_MIN, INT32_MAX, 1);
  if (stride == 0) return OperationError("slice step cannot be zero");
  QEFF_ASSIGN_OR_RETURN(std::vector<Value> all, Items(value));
  const int64_t length = std::ssize(all);
  const int64_t low = stride > 0 ? 0 : -1;
  const int64_t high = stride > 0 ? length : length - 1;
  const int64_t first = CutBound(start, length, low, high, stride > 0 ? low : high);
  const int64_t last = CutBound(stop, length, low, high, stride > 0 ? high : low);
  if (const Range* range = value.As<Range>()) return SliceRange(*range, first, last, stride);
  std::vector<Value> items;
  for (int64_t i = first; stride > 0 ? i < last : i > last; i += stride) {
    items.push_back(all[static_cast<size_t>(i)]);
  }
  if (value.is_text()) {
    std::string text;
    for (const Value& item : items) text += item.text();
    return value.is_markup() ? Value::FromMarkup(std::move(text))
                             : Value::FromText(std::move(text));
  }
  return value.is_tuple() ? Value::FromTuple(std::move(items)) : Value::FromList(std::move(items));
}

Result<Integer> ToIndex(const Value& value) {
  if (value.is_undefined()) return UndefinedError(value);
  if (value.is_integer()) return value.integer();
  return OperationError(
      fmt::format("'{}' object cannot be interpreted as an integer", value.TypeName()));
}

Result<int64_t> ToCount(const Value& value) {
  QEFF_ASSIGN_OR_RETURN(const Integer index, ToIndex(value));
  return static_cast<int64_t>(std::clamp<Integer>(index, INT64_MIN, INT64_MAX));
}

}  // namespace qeff::jinja
