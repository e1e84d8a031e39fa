// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What happens to the sums of matrix tiles, in one pass over them where that is possible: with few
// hundred k it takes as long as the products.
#pragma once

#include "backends/cpu/kernels/linear_body.h"
#include "backends/cpu/kernels/rows_body.h"

namespace qeff::cpu {
namespace {

/// kRows rows of a whole panel whose column 0 is `column`, neither gate nor up. GELU if kIsGelu,
/// else no activation.
template <int kRows, bool kIsGelu>
QEFF_INLINE void FinishRun(const LinearArgs& args, int64_t row, int64_t column,
                           const Vec (&bias)[2], const float* sums) {
  Vec value[2 * kRows];
#pragma GCC unroll 4
  for (int i = 0; i < 2 * kRows; ++i) value[i] = Load(sums + i * kLanes) + bias[i % 2];
  if constexpr (kIsGelu) GeluErf(value);
#pragma GCC unroll 2
  for (int r = 0; r < kRows; ++r) {
    Vec* of_row = value + 2 * r;
    if (args.packs_out) {
      StorePackedRow(args, row + r, column, reinterpret_cast<__m512>(of_row[0]),
                     reinterpret_cast<__m512>(of_row[1]));
      continue;
    }
    float* out = args.out + (row + r) * args.out_stride + column;
    if (args.residual != nullptr) {
      const float* residual = args.residual + (row + r) * args.residual_stride + column;
      of_row[0] += Load(residual);
      of_row[1] += Load(residual + kLanes);
    }
    Store(out, of_row[0]);
    Store(out + kLanes, of_row[1]);
  }
}

template <bool kIsGelu>
inline void FinishRows(const LinearArgs& args, int64_t panel, int64_t row, int64_t rows,
                       const float* sums) {
  const int64_t column = panel * kPanelColumns;
  Vec bias[2] = {};
  if (args.bias != nullptr) {
    bias[0] = Load(args.bias + column);
    bias[1] = Load(args.bias + column + kLanes);
  }
  for (; rows >= 2; rows -= 2, row += 2, sums += 2 * kPanelColumns) {
    FinishRun<2, kIsGelu>(args, row, column, bias, sums);
  }
  if (rows > 0) FinishRun<1, kIsGelu>(args, row, column, bias, sums);
}

/// As FinishTile.
inline void FinishAmxTile(const LinearArgs& args, int64_t panel, int64_t row, int64_t rows,
                          float* sums, float* gate) {
  const bool is_whole = args.epilogue != LinearEpilogue::kGated &&
                        args.columns - panel * kPanelColumns >= kPanelColumns;
  const bool is_activated = args.epilogue == LinearEpilogue::kActivated;
  if (is_whole && !is_activated) {
    FinishRows<false>(args, panel, row, rows, sums);
  } else if (is_whole && args.activation == Activation::kGelu) {
    FinishRows<true>(args, panel, row, rows, sums);
  } else {
    FinishTile(args, panel, row, rows, sums, gate);
  }
}

}  // namespace
}  // namespace qeff::cpu
