// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The packed layouts of backends/cpu/kernels/kernels.h, written down once more for tests, element
// by element.
#pragma once

#include <cstddef>
#include <cstring>
#include <vector>

#include "backends/cpu/kernels/kernels.h"
#include "lib/support/float16.h"

namespace qeff::cpu {

/// Stores element `index` of a f32 or bf16 array.
inline void StoreElement(std::vector<std::byte>& out, int64_t index, float value, bool is_bf16) {
  if (is_bf16) {
    const uint16_t bits = F32ToBf16(value);
    std::memcpy(out.data() + index * 2, &bits, 2);
  } else {
    std::memcpy(out.data() + index * 4, &value, 4);
  }
}

/// x [rows, depth] as row tiles.
inline std::vector<std::byte> PackTestRows(const std::vector<float>& x, int64_t rows, int64_t depth,
                                           bool is_bf16) {
  const int64_t stored = is_bf16 ? (depth + 31) / 32 * 32 : depth;
  std::vector<std::byte> out(static_cast<size_t>(rows * stored * (is_bf16 ? 2 : 4)));
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t tile = row / 12 * 12;
    const int64_t tile_rows = std::min<int64_t>(12, rows - tile);
    for (int64_t k = 0; k < depth; ++k) {
      const int64_t place =
          is_bf16 ? k / 2 * tile_rows * 2 + (row - tile) * 2 + k % 2 : k * tile_rows + (row - tile);
      StoreElement(out, tile * stored + place, x[row * depth + k], is_bf16);
    }
  }
  return out;
}

/// x [rows, depth] as bf16 row tiles for matrix tiles.
inline std::vector<std::byte> PackTestRowsForAmx(const std::vector<float>& x, int64_t rows,
                                                 int64_t depth) {
  const int64_t stored = (depth + 31) / 32 * 32;
  std::vector<std::byte> out(static_cast<size_t>(rows * stored * 2));
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t tile = row / 16 * 16;
    const int64_t tile_rows = std::min<int64_t>(16, rows - tile);
    for (int64_t k = 0; k < depth; ++k) {
      const int64_t place = k / 32 * tile_rows * 32 + (row - tile) * 32 + k % 32;
      StoreElement(out, tile * stored + place, x[row * depth + k], true);
    }
  }
  return out;
}

/// One or two (gate, up) weights [columns, depth] as panels.
inline std::vector<std::byte> PackTestWeights(const std::vector<std::vector<float>>& weights,
                                              int64_t columns, int64_t depth, WeightFormat format) {
  const bool is_bf16 = format == WeightFormat::kBf16;
  const bool is_f16 = format == WeightFormat::kF16;
  const int64_t stored = is_bf16 ? depth + depth % 2 : depth;
  const auto kinds = static_cast<int64_t>(weights.size());
  const int64_t panels = (columns + 31) / 32 * kinds;
  std::vector<std::byte> out(
      static_cast<size_t>(panels * 32 * stored * (is_bf16 || is_f16 ? 2 : 4)));
  for (int64_t kind = 0; kind < kinds; ++kind) {
    for (int64_t n = 0; n < columns; ++n) {
      const int64_t panel = n / 32 * kinds + kind;
      for (int64_t k = 0; k < depth; ++k) {
        const int64_t place = is_bf16 ? k / 2 * 64 + n % 32 * 2 + k % 2 : k * 32 + n % 32;
        const float value = weights[kind][n * depth + k];
        if (is_f16) {
          const uint16_t bits = F32ToF16(value);
          std::memcpy(out.data() + (panel * 32 * stored + place) * 2, &bits, 2);
        } else {
          StoreElement(out, panel * 32 * stored + place, value, is_bf16);
        }
      }
    }
  }
  return out;
}

inline std::vector<float> PackTestBias(const std::vector<std::vector<float>>& biases,
                                       int64_t columns) {
  const auto kinds = static_cast<int64_t>(biases.size());
  std::vector<float> out(static_cast<size_t>((columns + 31) / 32 * 32 * kinds));
  for (int64_t kind = 0; kind < kinds; ++kind) {
    for (int64_t n = 0; n < columns; ++n) {
      out[(n / 32 * kinds + kind) * 32 + n % 32] = biases[kind][n];
    }
  }
  return out;
}

}  // namespace qeff::cpu
