// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The register tile of f32 products for NEON, which multiplies a vector by one lane of another: the
// rows of one k are loaded as vectors instead of being broadcast one by one. Of 32 registers, sums
// take 24 at most, so that a fused multiply-add never waits for the one before it.
#pragma once

#include "backends/cpu/kernels/vector.h"

namespace qeff::cpu {
namespace {

/// The i-th four of kRows values, the last ones filled up with zeros. Reads nothing beyond.
template <int kRows>
QEFF_INLINE Vec LoadFourRows(const float* from, int i) {
  constexpr int kLeft = kRows % 4;
  Vec value{};
  if (kLeft == 0 || i < kRows / 4) {
    value = Load(from + 4 * i);
  } else {
#pragma GCC unroll 3
    for (int r = 0; r < kLeft; ++r) value[r] = from[4 * i + r];
  }
  asm("" : "+w"(value));  // or compilers load each lane for itself
  return value;
}
template <int kRows>
QEFF_INLINE void LoadRows(const float* from, Vec (&to)[(kRows + 3) / 4]) {
#pragma GCC unroll 3
  for (int i = 0; i < (kRows + 3) / 4; ++i) to[i] = LoadFourRows<kRows>(from, i);
}

/// acc[r][c] (+)= sum over k of a[k * a_stride + r] * b[k * b_stride + c] for r < kRows and
/// kVectors vectors of columns.
template <int kRows, int kVectors>
QEFF_INLINE void MicroTileF32(const float* a, int64_t a_stride, const float* b, int64_t b_stride,
                              int64_t depth, float* acc, int64_t acc_stride, bool accumulate) {
  Vec sum[kRows][kVectors];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      sum[r][v] = accumulate ? Load(acc + r * acc_stride + v * kLanes) : Vec{};
    }
  }
  for (int64_t k = 0; k < depth; ++k) {
    Vec x[(kRows + 3) / 4];
    LoadRows<kRows>(a, x);
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      const Vec w = Load(b + v * kLanes);
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) sum[r][v] += w * x[r / 4][r % 4];
    }
    a += a_stride;
    b += b_stride;
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) Store(acc + r * acc_stride + v * kLanes, sum[r][v]);
  }
}

/// The same for 32 columns.
template <int kRows, int = 0>
void TileF32(const float* a, int64_t a_stride, const float* b, int64_t b_stride, int64_t depth,
             float* acc, int64_t acc_stride, bool accumulate) {
  constexpr int kVectors = kRows <= 2 ? 8 : kRows <= 6 ? 4 : 2;
  for (int c = 0; c < 32; c += kVectors * kLanes) {
    MicroTileF32<kRows, kVectors>(a, a_stride, b + c, b_stride, depth, acc + c, acc_stride,
                                  accumulate);
  }
}

}  // namespace
}  // namespace qeff::cpu
