// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Quantising of one row tile: each block of 128 values of a row gets its scale, its numbers, and
// minus the zero point times the sums of its groups (kernels.h). Every instruction set gives the
// same bytes.
#pragma once

#include "backends/cpu/kernels/kernels.h"
#include "backends/cpu/kernels/vector.h"

namespace qeff::cpu {
namespace {

using VecS8 = int8_t __attribute__((vector_size(kLanes)));

/// Where one block of one row goes.
struct QuantBlockOut {
  std::byte* numbers;
  float* scale;
  int32_t* starts;
};

/// The largest magnitude of a block; NaN if there is one.
QEFF_INLINE float LargestMagnitude(const float* x) {
  VecI largest = {};  // magnitudes of floats are in the order of their bits, NaN last
  for (int64_t i = 0; i < kQuantBlock; i += kLanes) {
    const VecI bits = reinterpret_cast<VecI>(LoadU(x + i) & 0x7fffffffu);
    largest = bits > largest ? bits : largest;
  }
  int32_t lanes[kLanes];
  std::memcpy(lanes, &largest, sizeof(lanes));
  int32_t result = 0;
  for (const int32_t lane : lanes) result = lane > result ? lane : result;
  float value;
  std::memcpy(&value, &result, sizeof(value));
  return value;
}

QEFF_INLINE void QuantiseBlock(const float* x, const QuantLayout& layout,
                               const QuantBlockOut& out) {
  const float largest = LargestMagnitude(x);
  *out.scale = largest / 127.0f;
  // The inverse of a denormal would be infinite; NaN takes the same way, its scale says it all.
  const float inverse = largest >= 1e-36f ? 127.0f / largest : 0.0f;
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  VecI sum = {};
  for (int64_t i = 0; i < kQuantBlock; i += kLanes) {
    const Vec scaled = Load(x + i) * inverse;
    // Limits between product and sum: together they would become one rounding where there is FMA.
    const Vec limited = Min(Max(scaled, Broadcast(-127.0f)), Broadcast(127.0f));
    const VecI number = reinterpret_cast<VecI>(limited + kRound) - 0x4b400000;
    const VecS8 narrow = __builtin_convertvector(number, VecS8);
    std::memcpy(out.numbers + i, &narrow, sizeof(narrow));
    sum += number;
    if ((i + kLanes) % layout.group == 0) {
      int32_t lanes[kLanes];
      std::memcpy(lanes, &sum, sizeof(lanes));
      int32_t total = 0;
      for (const int32_t lane : lanes) total += lane;
      out.starts[i / layout.group] = -layout.zero_point * total;
      sum = VecI{};
    }
  }
}

inline void RunPackRowsQuant(const PackRowsArgs& args) {
  const int64_t groups = args.layout.groups_of_block();
  for (int64_t block = 0; block < QuantBlocks(args.depth); ++block) {
    std::byte* to = static_cast<std::byte*>(args.out) +
                    args.row_begin * args.layout.row_bytes(args.depth) +
                    block * args.rows * args.layout.row_block_bytes();
    auto* scales = reinterpret_cast<float*>(to + args.rows * kQuantBlock);
    auto* starts = reinterpret_cast<int32_t*>(scales + args.rows);
    const int64_t left = args.depth - block * kQuantBlock;
    for (int64_t r = 0; r < args.rows; ++r) {
      const float* x = args.x + r * args.x_stride + block * kQuantBlock;
      float filled[kQuantBlock];
      if (left < kQuantBlock) {
        for (int64_t i = 0; i < kQuantBlock; ++i) filled[i] = i < left ? x[i] : 0.0f;
        x = filled;
      }
      QuantiseBlock(x, args.layout, {to + r * kQuantBlock, scales + r, starts + r * groups});
    }
  }
}

}  // namespace
}  // namespace qeff::cpu
