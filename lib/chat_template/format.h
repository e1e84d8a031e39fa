// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Python's two ways to put values into text: "%s" % value and "{}".format(value).
#pragma once

#include <string>
#include <string_view>

#include "lib/chat_template/value.h"

namespace qeff::jinja {

/// Returns format % value. Errors: conversions that do not fit the values, too few or too many.
Result<Value> FormatPercent(const Value& format, const Value& value, Budget& budget);

/// Returns self.format(*arguments); attributes are looked up as in the sandbox.
Result<Value> FormatBraces(Interpreter& interpreter, const Value& self, const Arguments& arguments);

}  // namespace qeff::jinja
