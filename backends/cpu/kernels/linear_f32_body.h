// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Linear with f32 weights and f32 rows.
#pragma once

#include "backends/cpu/kernels/linear_body.h"
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
  static void Tile(int64_t rows, const float* x, const float* w, int64_t depth, float* sums,
                   bool accumulate) {
    TileF32For(rows)(x, rows, w, kPanelColumns, depth, sums, kPanelColumns, accumulate);
  }
};

}  // namespace
}  // namespace qeff::cpu
