// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The register tile of tile_columns.h for NEON: each vector of columns is widened once and meets
// the rows of tile_f32_neon.h lane by lane.
#pragma once

#include "backends/cpu/kernels/kernels.h"
#include "backends/cpu/kernels/tile_f32_neon.h"

namespace qeff::cpu {
namespace {

/// acc[r][c] (+)= sum over k of a[k * a_stride + r] * columns[k][c] for r < kRows and kVectors
/// vectors of columns.
template <typename Columns, int kRows, int kVectors>
QEFF_INLINE void MicroTileColumns(const float* a, int64_t a_stride, Columns columns, int64_t depth,
                                  float* acc, int64_t acc_stride, bool accumulate) {
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
      const Vec w = columns.Get(v);
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) sum[r][v] += w * x[r / 4][r % 4];
    }
    columns.Next();
    a += a_stride;
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) Store(acc + r * acc_stride + v * kLanes, sum[r][v]);
  }
}

/// The same for 32 columns. Of 32 registers, MXINT8 keys keep the scales of kVectors in some.
template <typename Columns, int kRows>
void TileColumns(const float* a, int64_t a_stride, Columns columns, int64_t depth, float* acc,
                 int64_t acc_stride, bool accumulate) {
  constexpr int kVectors = kRows <= 2 ? 8 : kRows <= 5 ? 4 : 2;
  for (int64_t c = 0; c < kPanelColumns; c += kVectors * kLanes) {
    MicroTileColumns<Columns, kRows, kVectors>(a, a_stride, columns.From(c), depth, acc + c,
                                               acc_stride, accumulate);
  }
}

}  // namespace
}  // namespace qeff::cpu
