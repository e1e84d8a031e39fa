// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdint>
#include <span>

#include "backends/cpu/kernels/kernels.h"

namespace qeff::cpu {

/// What a product told of `panels` panels, all of `weights`, from the first one on: runs of whole
/// panels of the same size, one behind the other.
inline void CheckStarts(const StreamStarts& starts, std::span<const std::byte> weights,
                        int64_t panels) {
  REQUIRE(starts.count <= StreamStarts::kMost);
  const int64_t panel_bytes = std::ssize(weights) / panels;
  if (starts.count == 0 || panel_bytes == 0) return;
  REQUIRE(starts.bytes > 0);
  REQUIRE(starts.bytes % panel_bytes == 0);
  REQUIRE(starts.count * starts.bytes <= panels * panel_bytes);
  for (int64_t i = 0; i < starts.count; ++i) {
    REQUIRE(starts.at[i] == weights.data() + i * starts.bytes);
  }
}

}  // namespace qeff::cpu
