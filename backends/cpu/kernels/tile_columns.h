// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The register tile of f32 products whose right operand is kept in a narrower format: columns give
// their vectors as f32, one k after the other. Up to 12 rows by 32 columns.
#pragma once

#include <utility>

#include "backends/cpu/kernels/kernels.h"
#include "backends/cpu/kernels/narrow_loads.h"
#include "backends/cpu/kernels/tile_f32.h"
#if defined(QEFF_NEON)
#include "backends/cpu/kernels/tile_columns_neon.h"
#endif

namespace qeff::cpu {
namespace {

struct Bf16Element {
  uint16_t bits;
};
QEFF_INLINE Vec LoadElement(const Bf16Element* from) { return LoadBf16(&from->bits); }
struct F16Element {
  uint16_t bits;
};
QEFF_INLINE Vec LoadElement(const F16Element* from) { return LoadF16(&from->bits); }

/// Rows of elements that need no scale.
template <typename Element>
struct PlainColumns {
  static constexpr int kElementBytes = sizeof(Element);
  const Element* at;
  int64_t stride;
  QEFF_INLINE Vec Get(int v) const { return LoadElement(at + v * kLanes); }
  QEFF_INLINE void Next() { at += stride; }
  QEFF_INLINE PlainColumns From(int64_t column) const { return {at + column, stride}; }
  QEFF_INLINE PlainColumns Skip(int64_t count) const { return {at + count * stride, stride}; }
};

#if !defined(QEFF_NEON)
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
    Vec w[kVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) w[v] = columns.Get(v);
    columns.Next();
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const Vec x = Broadcast(a[r]);
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) sum[r][v] += x * w[v];
    }
    a += a_stride;
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) Store(acc + r * acc_stride + v * kLanes, sum[r][v]);
  }
}

/// The same for 32 columns.
template <typename Columns, int kRows>
void TileColumns(const float* a, int64_t a_stride, Columns columns, int64_t depth, float* acc,
                 int64_t acc_stride, bool accumulate) {
  if constexpr (kLanes == 16) {
    MicroTileColumns<Columns, kRows, 2>(a, a_stride, columns, depth, acc, acc_stride, accumulate);
  } else if constexpr (kRows > 4) {  // 16 registers: 8 sums, 2 columns, 2 scales, a row
    TileColumns<Columns, 4>(a, a_stride, columns, depth, acc, acc_stride, accumulate);
    TileColumns<Columns, kRows - 4>(a + 4, a_stride, columns, depth, acc + 4 * acc_stride,
                                    acc_stride, accumulate);
  } else {
    for (int64_t c = 0; c < kPanelColumns; c += 2 * kLanes) {
      MicroTileColumns<Columns, kRows, 2>(a, a_stride, columns.From(c), depth, acc + c, acc_stride,
                                          accumulate);
    }
  }
}

#endif

template <typename Columns>
using TileColumnsFunction = void (*)(const float*, int64_t, Columns, int64_t, float*, int64_t,
                                     bool);

template <typename Columns, size_t... kIndex>
constexpr TileColumnsFunction<Columns> SelectTileColumns(int64_t rows,
                                                         std::index_sequence<kIndex...>) {
  constexpr TileColumnsFunction<Columns> kTiles[] = {
      &TileColumns<Columns, static_cast<int>(kIndex) + 1>...};
  return kTiles[rows - 1];
}
/// The tile for `rows` in 1..12.
template <typename Columns>
QEFF_INLINE TileColumnsFunction<Columns> TileColumnsFor(int64_t rows) {
  return SelectTileColumns<Columns>(rows, std::make_index_sequence<12>());
}

}  // namespace
}  // namespace qeff::cpu
