// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Placing buffers whose lifetimes are known into one block of memory.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace qeff::cpu {

/// A buffer that must keep its bytes from step `first_step` to step `last_step`, both included.
struct Lifetime {
  uint64_t size_bytes = 0;
  int64_t first_step = 0;
  int64_t last_step = 0;
};

struct ArenaPlan {
  std::vector<uint64_t> offsets_bytes;  ///< multiples of kBufferAlignment, one for each lifetime
  uint64_t size_bytes = 0;
};

/// Gives buffers that live at the same time disjoint places: largest first, each at the lowest
/// place that is free during its life. The same input gives the same plan.
ArenaPlan PlaceInArena(std::span<const Lifetime> lifetimes);

}  // namespace qeff::cpu
