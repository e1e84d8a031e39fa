// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The loops around the register tile of a Linear: panel of 32 columns outermost, then blocks of k
// small enough that the panel's block stays in the first-level cache, then row tiles, whose packed
// rows stream from the second level. The sums of a panel stay in scratch between blocks and get the
// epilogue while they are still in the first level.
#pragma once

#include "backends/cpu/kernels/kernels.h"
#include "backends/cpu/kernels/vector.h"

namespace qeff::cpu {
namespace {

/// Adds the bias of `panel` to `rows` rows of 32 sums.
inline void AddPanelBias(const LinearArgs& args, int64_t panel, int64_t rows, float* sums) {
  if (args.bias == nullptr) return;
  const float* bias = args.bias + panel * kPanelColumns;
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < kPanelColumns; ++c) sums[r * kPanelColumns + c] += bias[c];
  }
}

/// Finishes the sums of one tile whose first row is `row`; `gate` holds the finished gate sums of
/// the tile if gated.
inline void FinishTile(const LinearArgs& args, int64_t panel, int64_t row, int64_t rows,
                       float* sums, float* gate) {
  AddPanelBias(args, panel, rows, sums);
  int64_t column = panel * kPanelColumns;
  if (args.epilogue == LinearEpilogue::kGated) {
    const int64_t count = rows * kPanelColumns;
    if ((panel & 1) == 0) {
      if (args.limit > 0) {  // comparisons that keep NaN, here and below
        for (int64_t i = 0; i < count; ++i) sums[i] = sums[i] > args.limit ? args.limit : sums[i];
      }
      args.activate({.kind = args.activation, .x = sums, .out = sums, .count = count});
      return;
    }
    if (args.limit > 0) {
      for (int64_t i = 0; i < count; ++i) {
        const float up = sums[i] > args.limit ? args.limit : sums[i];
        sums[i] = up < -args.limit ? -args.limit : up;
      }
    }
    for (int64_t i = 0; i < count; ++i) sums[i] = (sums[i] + args.up_offset) * gate[i];
    column = (panel / 2) * kPanelColumns;
  }
  const int64_t left = args.columns - column;
  const int64_t count = left < kPanelColumns ? left : kPanelColumns;
  for (int64_t r = 0; r < rows; ++r) {
    float* out = args.out + (row + r) * args.out_stride + column;
    const float* from = sums + r * kPanelColumns;
    if (args.residual == nullptr) {
      for (int64_t c = 0; c < count; ++c) out[c] = from[c];
    } else {
      const float* residual = args.residual + (row + r) * args.residual_stride + column;
      for (int64_t c = 0; c < count; ++c) out[c] = from[c] + residual[c];
    }
  }
}

/// Packed rows that stay in the second-level cache while all panels pass by, in bytes; and how many
/// there are at least, so that each weight that is read serves enough of them.
constexpr int64_t kRowBlockBytes = 768 * 1024;
constexpr int64_t kLeastRowBlock = 43 * kTileRows;

/// Format: kBlockDepth (even), Weight and Row (element types), WeightDepth(k) and RowDepth(k) (as
/// stored), Tile(rows, x, w, depth, sums, accumulate): one tile over `depth` k.
template <typename Format>
void RunLinearRows(const LinearArgs& args, int64_t row_begin, int64_t row_end) {
  const auto* x = static_cast<const typename Format::Row*>(args.x);
  const auto* weights = static_cast<const typename Format::Weight*>(args.weights);
  const int64_t depth = args.depth;
  const int64_t weight_depth = Format::WeightDepth(depth);
  const int64_t row_depth = Format::RowDepth(depth);
  const int64_t block =
      args.rows <= kTileRows || depth <= Format::kBlockDepth ? depth : Format::kBlockDepth;
  const int64_t strip_floats = (row_end - row_begin) * kPanelColumns;
  for (int64_t panel = args.panel_begin; panel < args.panel_end; ++panel) {
    const auto* panel_weights = weights + panel * weight_depth * kPanelColumns;
    const bool is_up = args.epilogue == LinearEpilogue::kGated && (panel & 1) == 1;
    float* strip = args.scratch + (is_up ? strip_floats : 0);
    int64_t k = 0;
    do {  // at least once: depth may be 0
      const int64_t count = depth - k < block ? depth - k : block;
      for (int64_t row = row_begin; row < row_end; row += kTileRows) {
        const int64_t rows = row_end - row < kTileRows ? row_end - row : kTileRows;
        const int64_t place = (row - row_begin) * kPanelColumns;
        Format::Tile(rows, x + row * row_depth + k * rows, panel_weights + k * kPanelColumns, count,
                     strip + place, k > 0);
        if (k + count == depth) {
          FinishTile(args, panel, row, rows, strip + place, args.scratch + place);
        }
      }
      k += count;
    } while (k < depth);
  }
}

template <typename Format>
void RunLinear(const LinearArgs& args) {
  const int64_t row_bytes =
      Format::RowDepth(args.depth) * static_cast<int64_t>(sizeof(typename Format::Row));
  int64_t rows = row_bytes == 0 ? args.rows : kRowBlockBytes / row_bytes;
  rows = (rows < kLeastRowBlock ? kLeastRowBlock : rows) / kTileRows * kTileRows;
  for (int64_t row = 0; row < args.rows; row += rows) {
    RunLinearRows<Format>(args, row, args.rows - row < rows ? args.rows : row + rows);
  }
}

}  // namespace
}  // namespace qeff::cpu
