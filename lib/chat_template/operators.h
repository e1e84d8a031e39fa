// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What Python's operators do with values: arithmetic, comparison, membership, indexing, iteration.
// Errors carry Python's message and no place.
#pragma once

#include <algorithm>
#include <compare>
#include <optional>
#include <vector>

#include "lib/chat_template/value.h"

namespace qeff::jinja {

enum class BinaryOperator { kAdd, kSubtract, kMultiply, kDivide, kFloorDivide, kModulo, kPower };

/// Errors: operands of types that do not go together; division by zero; an integer beyond 128 bits.
Result<Value> Apply(BinaryOperator op, const Value& left, const Value& right, Budget& budget);
Result<Value> Negate(const Value& value);
Result<Value> Plus(const Value& value);

/// Returns left == right. Values of different types are unequal, but for numbers.
bool Equal(const Value& left, const Value& right, Budget& budget);

/// Returns how left and right are ordered; `symbol` is for the message. Errors: types without
/// order.
Result<std::partial_ordering> Order(const Value& left, const Value& right, std::string_view symbol,
                                    Budget& budget);

/// Returns `item in container`.
Result<bool> Contains(const Value& container, const Value& item, Budget& budget);

/// Returns list(value): the items of anything that can be iterated.
Result<std::vector<Value>> Items(const Value& value);
bool IsIterable(const Value& value);
/// Returns len(value).
Result<size_t> Length(const Value& value);

/// Returns value[index]; none if there is no such element or the value has no elements.
std::optional<Value> Element(const Value& value, const Value& index);

/// Returns value[start:stop:step]; absent bounds are None.
Result<Value> Slice(const Value& value, const Value& start, const Value& stop, const Value& step);

/// Returns int(value) as Python would for an index or a count. Errors: not an integer.
Result<Integer> ToIndex(const Value& value);
/// The same, cut to what a size can be.
Result<int64_t> ToCount(const Value& value);

/// Returns the error of using an undefined value.
Status UndefinedError(const Value& value);

/// Sorts stably by the key of each item, as list.sort does. Errors: keys without order.
template <typename T, typename KeyOf>
Status SortBy(std::vector<T>& items, KeyOf key_of, Budget& budget) {
  Status first_error = Status::Ok();
  std::stable_sort(items.begin(), items.end(), [&](const T& left, const T& right) {
    if (!first_error.ok() || !budget.Work(1)) return false;
    Result<std::partial_ordering> order = Order(key_of(left), key_of(right), "<", budget);
    if (!order.ok()) {
      first_error = std::move(order).status();
      return false;
    }
    return *order == std::partial_ordering::less;
  });
  return first_error;
}

}  // namespace qeff::jinja
