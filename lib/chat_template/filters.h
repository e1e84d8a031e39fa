// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The filters of Jinja 3.1 by name, with `tojson` as transformers defines it. Not there: `random`
// (nothing here is random), `urlize`, `wordwrap` and `pprint` (for web pages and debugging).
#pragma once

#include <span>
#include <string_view>

#include "lib/chat_template/value.h"

namespace qeff::jinja {

struct FilterEntry {
  std::string_view name;
  Function::Body body;  ///< gets the filtered value as `self`
};

/// Returns null if there is no such filter.
const FilterEntry* FindFilter(std::string_view name);

/// Returns the error, with the nearest name as note.
Status UnknownFilter(Location where, std::string_view name);

/// The tables that FindFilter looks through; each file of filters has one.
std::span<const FilterEntry> TextFilters();
std::span<const FilterEntry> SequenceFilters();
std::span<const FilterEntry> NumberFilters();

/// Filters whose meaning other files need.
Result<Value> FilterToJson(Interpreter& interpreter, const Value& value,
                           const Arguments& arguments);

}  // namespace qeff::jinja
