// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/runtime/barriers.h"

#include <algorithm>

namespace qeff::cpu {

bool Overlap(const Access& a, const Access& b) {
  return a.area == b.area && a.begin < b.end && b.begin < a.end;
}

int32_t OnlyPart(std::span<const int64_t> part_begin) {
  int32_t only = -1;
  for (size_t part = 0; part + 1 < part_begin.size(); ++part) {
    if (part_begin[part] == part_begin[part + 1]) continue;
    if (only >= 0) return -1;
    only = static_cast<int32_t>(part);
  }
  return std::max(only, 0);
}

bool OpenAccesses::MustWait(std::span<const Access> accesses, int32_t only_part) const {
  const auto collides = [&](const Access& mine) {
    return std::ranges::any_of(open_, [&](const OpenAccess& other) {
      const bool is_same_part = only_part >= 0 && only_part == other.only_part;
      return !is_same_part && (mine.is_written || other.access.is_written) &&
             Overlap(mine, other.access);
    });
  };
  return std::ranges::any_of(accesses, collides);
}

void OpenAccesses::Add(std::span<const Access> accesses, int32_t only_part) {
  for (const Access& access : accesses) open_.push_back({access, only_part});
}

}  // namespace qeff::cpu
