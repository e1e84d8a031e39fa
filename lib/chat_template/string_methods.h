// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The methods of Python's str, and what filters share with them. Not there: encode, maketrans and
// translate, which need types that templates do not have.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/chat_template/value.h"

namespace qeff::jinja {

/// Returns null if str has no such method, or we do not have it.
Function::Body FindStringMethod(std::string_view name);

bool IsUpperText(std::string_view text);
bool IsLowerText(std::string_view text);

/// Returns `text` with at most `limit` occurrences replaced (all if negative).
std::string Replace(std::string_view text, std::string_view from, std::string_view to,
                    int64_t limit, Budget& budget);

/// Fills up to `width_characters` with `fill`; centered as str.center does.
enum class Alignment { kLeft, kRight, kCenter };
std::string Pad(std::string_view text, int64_t width_characters, std::string_view fill,
                Alignment alignment, Budget& budget);

/// Returns Python's int(text, base); none if it is no such number or beyond 128 bits.
std::optional<Integer> ParseInteger(std::string_view text, int base);
/// Returns Python's float(text).
std::optional<double> ParseFloat(std::string_view text);

}  // namespace qeff::jinja
