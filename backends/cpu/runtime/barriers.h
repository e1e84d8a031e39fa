// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Which steps must wait for those before them: the planner places barriers by this rule, and
// opening a program refuses one that lacks any, so that no thread writes what another one reads.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "backends/cpu/runtime/program.h"

namespace qeff::cpu {

/// Bytes [begin, end) of an area that a step touches. Constants are left out: nothing writes them.
struct Access {
  Area area = Area::kArena;
  uint64_t begin = 0;
  uint64_t end = 0;
  bool is_written = false;
};

/// True if both touch some byte.
bool Overlap(const Access& a, const Access& b);

/// The part that has all units of a step, the first if there are none; -1 if several have some.
int32_t OnlyPart(std::span<const int64_t> part_begin);

/// No more accesses may be open than this, so that checking a damaged program takes no time to
/// speak of. The planner places a barrier after a fourth of them.
inline constexpr size_t kMostOpenAccesses = 4096;

/// What the steps since the last barrier touch.
class OpenAccesses {
 public:
  /// True if a step whose `only_part` is as OnlyPart says must wait for an earlier one: they share
  /// bytes, at least one of them writes them, and one thread does not do both in their order.
  bool MustWait(std::span<const Access> accesses, int32_t only_part) const;
  void Add(std::span<const Access> accesses, int32_t only_part);
  void Clear() { open_.clear(); }
  size_t size() const { return open_.size(); }

 private:
  struct OpenAccess {
    Access access;
    int32_t only_part;
  };
  std::vector<OpenAccess> open_;
};

}  // namespace qeff::cpu
