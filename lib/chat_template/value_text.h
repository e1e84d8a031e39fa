// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Values as text: Python's str() and repr(), and its json.dumps().
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "lib/chat_template/value.h"

namespace qeff::jinja {

/// Returns str(value): what {{ value }} prints. Undefined is empty.
std::string ToText(const Value& value, Budget& budget);

/// Returns repr(value): how a value stands inside a printed list.
std::string Represent(const Value& value, Budget& budget);

/// Returns a float as Python prints it: shortest digits that read back, always with '.' or 'e'.
std::string FloatText(double value);

struct JsonStyle {
  bool escapes_non_ascii = false;
  bool sorts_keys = false;
  std::optional<std::string> indent;  ///< of one level; none: everything on one line
  std::string item_separator = ", ";
  std::string key_separator = ": ";
};

/// Returns json.dumps(value). Errors: a value or key that JSON has no form for.
Result<std::string> ToJson(const Value& value, const JsonStyle& style, Budget& budget);

}  // namespace qeff::jinja
