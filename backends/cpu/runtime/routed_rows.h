// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What the steps after a route step read of its result. Values are brought into range, because a
// damaged program can wire anything to these operands.
#pragma once

#include <algorithm>
#include <cstdint>

namespace qeff::cpu {

/// Places [begin, end) of an expert's slots.
struct RoutedRows {
  int64_t begin = 0;
  int64_t end = 0;
  int64_t count() const { return end - begin; }
};

inline RoutedRows RowsOfExpert(const int64_t* starts, int64_t expert, int64_t slots) {
  const int64_t begin = std::clamp<int64_t>(starts[expert], 0, slots);
  return {begin, std::clamp<int64_t>(starts[expert + 1], begin, slots)};
}

/// A slot or a place.
inline int64_t RoutedIndex(int64_t value, int64_t slots) {
  return value < 0 || value >= slots ? 0 : value;
}

}  // namespace qeff::cpu
