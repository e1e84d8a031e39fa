// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Linear with f32 weights and f32 rows.
#pragma once

#include "backends/cpu/kernels/linear_stream_body.h"
#include "backends/cpu/kernels/tile_f32.h"

namespace qeff::cpu {
namespace {

struct LinearF32Format {
  using Weight = float;
  using Row = float;
  static constexpr int64_t kBlockDepth =
      256;  // 256 x 32 f32 = 32 KiB: fits beside the rows in 48 KiB
  static int64_t RowDepth(int64_t depth) { return depth; }
  static int64_t WeightDepth(int64_t depth) { return depth; }
  static int64_t PanelElements(int64_t depth) { return WeightDepth(depth) * kPanelColumns; }
  static constexpr int StreamCount(int rows) { return FloatStreamCount(rows); }
  static void Tile(int64_t rows, const float* x, const float* w, int64_t depth, float* sums,
                   bool accumulate) {
    TileF32For(rows)(x, rows, w, kPanelColumns, depth, sums, kPanelColumns, accumulate);
  }
#if defined(__AVX512F__)
  static void FetchingTile(int64_t rows, const float* x, const float* w, int64_t depth, float* sums,
                           bool accumulate, const TileFetch& fetch) {
    FetchingTileF32For(rows)(x, w, depth, sums, accumulate, fetch);
  }
#endif
#if !defined(QEFF_NEON)
  static void WholeTile(const float* x, const float* w, int64_t depth, float* sums, bool accumulate,
                        const TileFetch& fetch) {
    WholeTileF32(x, w, depth, sums, accumulate, fetch);
  }
#endif
  template <int kRows, int kStreams>
  static void Stream(const float* x, const float* const* w, int64_t depth, float* const* sums) {
    Vec sum[kRows][kStreams][kPanelVectors] = {};
    for (int64_t k = 0; k < depth; ++k) {
#pragma GCC unroll 4
      for (int s = 0; s < kStreams; ++s) {
        const float* from = w[s] + k * kPanelColumns;
        FetchAhead<2>(from);
#pragma GCC unroll 8
        for (int v = 0; v < kPanelVectors; ++v) {
          const Vec weight = Load(from + v * kLanes);
#pragma GCC unroll 4
          for (int r = 0; r < kRows; ++r) sum[r][s][v] += Broadcast(x[k * kRows + r]) * weight;
        }
      }
    }
    StoreStreams<kRows, kStreams>(sum, sums);
  }
};

}  // namespace
}  // namespace qeff::cpu
