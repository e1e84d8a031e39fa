// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Linear with f16 weights and f32 rows: each weight becomes an f32 in registers, exactly; products
// and sums are f32.
#pragma once

#include "backends/cpu/kernels/linear_stream_body.h"
#include "backends/cpu/kernels/tile_columns.h"

namespace qeff::cpu {
namespace {

struct LinearF16Format {
  using Weight = uint16_t;
  using Row = float;
  static constexpr int64_t kBlockDepth = 256;  // the rows, [256][12], and the panel's block, 16 KiB
  static int64_t RowDepth(int64_t depth) { return depth; }
  static int64_t WeightDepth(int64_t depth) { return depth; }
  static int64_t PanelElements(int64_t depth) { return WeightDepth(depth) * kPanelColumns; }
  static constexpr int StreamCount(int rows) { return FloatStreamCount(rows); }
  static void Tile(int64_t rows, const float* x, const uint16_t* w, int64_t depth, float* sums,
                   bool accumulate) {
    using Columns = PlainColumns<F16Element>;
    const Columns columns = {reinterpret_cast<const F16Element*>(w), kPanelColumns};
    TileColumnsFor<Columns>(rows)(x, rows, columns, depth, sums, kPanelColumns, accumulate);
  }
  /// `depth` k of a panel as f32.
  static void WidenWeights(const uint16_t* from, int64_t depth, float* to) {
    for (int64_t i = 0; i < depth * kPanelColumns; i += kLanes) Store(to + i, LoadF16(from + i));
  }
  template <int kRows, int kStreams>
  static void Stream(const float* x, const uint16_t* const* w, int64_t depth, float* const* sums) {
    Vec sum[kRows][kStreams][kPanelVectors] = {};
    for (int64_t k = 0; k < depth; ++k) {
#pragma GCC unroll 4
      for (int s = 0; s < kStreams; ++s) {
        const uint16_t* from = w[s] + k * kPanelColumns;
        FetchAhead<1>(from);
#pragma GCC unroll 8
        for (int v = 0; v < kPanelVectors; ++v) {
          const Vec weight = LoadF16(from + v * kLanes);
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
