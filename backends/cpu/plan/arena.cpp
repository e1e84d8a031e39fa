// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/plan/arena.h"

#include <algorithm>
#include <numeric>

#include "backends/cpu/runtime/program.h"

namespace qeff::cpu {

ArenaPlan PlaceInArena(std::span<const Lifetime> lifetimes) {
  std::vector<size_t> order(lifetimes.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return lifetimes[a].size_bytes > lifetimes[b].size_bytes;
  });
  ArenaPlan plan;
  plan.offsets_bytes.resize(lifetimes.size());
  std::vector<size_t> placed;  // by offset
  for (const size_t index : order) {
    const Lifetime& life = lifetimes[index];
    const uint64_t size =
        (life.size_bytes + kBufferAlignment - 1) / kBufferAlignment * kBufferAlignment;
    uint64_t offset = 0;
    for (const size_t other_index : placed) {
      const Lifetime& other = lifetimes[other_index];
      if (other.last_step < life.first_step || other.first_step > life.last_step) continue;
      if (plan.offsets_bytes[other_index] >= offset + size) break;
      const uint64_t end =
          plan.offsets_bytes[other_index] +
          (other.size_bytes + kBufferAlignment - 1) / kBufferAlignment * kBufferAlignment;
      offset = std::max(offset, end);
    }
    plan.offsets_bytes[index] = offset;
    plan.size_bytes = std::max(plan.size_bytes, offset + size);
    const auto position = std::upper_bound(
        placed.begin(), placed.end(), offset,
        [&](uint64_t wanted, size_t other) { return wanted < plan.offsets_bytes[other]; });
    placed.insert(position, index);
  }
  return plan;
}

}  // namespace qeff::cpu
