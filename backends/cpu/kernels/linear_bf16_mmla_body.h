// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Linear with bf16 weights and bf16 rows by bfmmla: two rows times two columns over four k, into a
// register [2][2] of f32. Two pairs of k of four columns interleave into two operands, and so do
// those of four rows, so packed rows and panels stay in the order of the other kernels. Few rows
// take bfdot, where each 32-bit lane takes the products of one pair of k. Both round all sums to
// odd, so errors are twice those of rounding to nearest, and flush denormals.
#pragma once

#include <arm_neon.h>

#include <utility>

#include "backends/cpu/kernels/linear_stream_body.h"
#include "backends/cpu/kernels/tile_f32_neon.h"

namespace qeff::cpu {
namespace {

QEFF_INLINE bfloat16x8_t AsBf16(Vec pairs) { return reinterpret_cast<bfloat16x8_t>(pairs); }
/// Two pairs of k of elements 0 and 1: [2][4].
QEFF_INLINE bfloat16x8_t FirstMatrix(Vec pairs, Vec next_pairs) {
  return AsBf16(__builtin_shufflevector(pairs, next_pairs, 0, 4, 1, 5));
}
/// The same of elements 2 and 3.
QEFF_INLINE bfloat16x8_t SecondMatrix(Vec pairs, Vec next_pairs) {
  return AsBf16(__builtin_shufflevector(pairs, next_pairs, 2, 6, 3, 7));
}

/// [2][2] sums of two rows and columns, for two neighbouring pairs of columns: from and to rows.
struct SumsOfRows {
  Vec columns[2];

  QEFF_INLINE static SumsOfRows FromRows(Vec row, Vec next_row) {
    return {{__builtin_shufflevector(row, next_row, 0, 1, 4, 5),
             __builtin_shufflevector(row, next_row, 2, 3, 6, 7)}};
  }
  QEFF_INLINE Vec row() const {
    return __builtin_shufflevector(columns[0], columns[1], 0, 1, 4, 5);
  }
  QEFF_INLINE Vec next_row() const {
    return __builtin_shufflevector(columns[0], columns[1], 2, 3, 6, 7);
  }
};

/// Four k: the pairs at `a` and `b`, and at a + 2 * kRows and b + 2 * kPanelColumns unless
/// `is_half`.
template <int kRows, int kVectors>
QEFF_INLINE void AddFourK(const uint16_t* a, const uint16_t* b, bool is_half,
                          SumsOfRows (&sum)[(kRows + 1) / 2][kVectors]) {
  bfloat16x8_t w[kVectors][2];
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
    const auto* from = reinterpret_cast<const float*>(b + v * 2 * kLanes);
    const Vec pairs = Load(from);
    const Vec next_pairs = is_half ? Vec{} : Load(from + kPanelColumns);
    w[v][0] = FirstMatrix(pairs, next_pairs);
    w[v][1] = SecondMatrix(pairs, next_pairs);
  }
#pragma GCC unroll 3
  for (int four = 0; four < (kRows + 3) / 4; ++four) {
    const Vec x = LoadFourRows<kRows>(reinterpret_cast<const float*>(a), four);
    const Vec next_x =
        is_half ? Vec{} : LoadFourRows<kRows>(reinterpret_cast<const float*>(a + 2 * kRows), four);
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
      const int i = 2 * four + half;
      if (2 * i >= kRows) continue;
      const bfloat16x8_t rows = half == 0 ? FirstMatrix(x, next_x) : SecondMatrix(x, next_x);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        for (int j = 0; j < 2; ++j) {
          auto& to = sum[i][v].columns[j];
          to =
              reinterpret_cast<Vec>(vbfmmlaq_f32(reinterpret_cast<float32x4_t>(to), rows, w[v][j]));
        }
      }
    }
  }
}

template <int kRows, int kVectors>
QEFF_INLINE void MicroTileBf16Mmla(const uint16_t* a, const uint16_t* b, int64_t depth, float* acc,
                                   bool accumulate) {
  constexpr int kRowPairs = (kRows + 1) / 2;
  SumsOfRows sum[kRowPairs][kVectors];
#pragma GCC unroll 6
  for (int i = 0; i < kRowPairs; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const float* row = acc + 2 * i * kPanelColumns + v * kLanes;
      const bool has_next = 2 * i + 1 < kRows;
      sum[i][v] = SumsOfRows::FromRows(accumulate ? Load(row) : Vec{},
                                       accumulate && has_next ? Load(row + kPanelColumns) : Vec{});
    }
  }
  const int64_t pairs = (depth + 1) / 2;
  for (int64_t p = 0; p + 2 <= pairs; p += 2) {
    AddFourK<kRows, kVectors>(a, b, false, sum);
    a += 4 * kRows;
    b += 4 * kPanelColumns;
  }
  if (pairs % 2 != 0) AddFourK<kRows, kVectors>(a, b, true, sum);
#pragma GCC unroll 6
  for (int i = 0; i < kRowPairs; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      float* row = acc + 2 * i * kPanelColumns + v * kLanes;
      Store(row, sum[i][v].row());
      if (2 * i + 1 < kRows) Store(row + kPanelColumns, sum[i][v].next_row());
    }
  }
}

template <int kRows>
void TileBf16Mmla(const uint16_t* a, const uint16_t* b, int64_t depth, float* acc,
                  bool accumulate) {
  constexpr int kVectors = kRows <= 4 ? 4 : 2;  // 24 sums, 4 weights, 1 row of 32 registers
  for (int c = 0; c < 32; c += kVectors * kLanes) {
    MicroTileBf16Mmla<kRows, kVectors>(a, b + 2 * c, depth, acc + c, accumulate);
  }
}

template <size_t... kIndex>
void SelectTileBf16Mmla(int64_t rows, const uint16_t* a, const uint16_t* b, int64_t depth,
                        float* acc, bool accumulate, std::index_sequence<kIndex...>) {
  using Function = void (*)(const uint16_t*, const uint16_t*, int64_t, float*, bool);
  static constexpr Function kTiles[] = {&TileBf16Mmla<static_cast<int>(kIndex) + 1>...};
  kTiles[rows - 1](a, b, depth, acc, accumulate);
}

struct LinearBf16MmlaFormat {
  using Weight = uint16_t;
  using Row = uint16_t;
  static constexpr int64_t kBlockDepth = 512;  // 512 x 32 bf16 = 32 KiB: half a cache of 64 KiB
  static int64_t RowDepth(int64_t depth) { return Bf16RowDepth(depth); }
  static int64_t WeightDepth(int64_t depth) { return RoundUpToEven(depth); }
  static int64_t PanelElements(int64_t depth) { return WeightDepth(depth) * kPanelColumns; }
  static constexpr int StreamCount(int rows) { return FloatStreamCount(rows); }
  static void Tile(int64_t rows, const uint16_t* x, const uint16_t* w, int64_t depth, float* sums,
                   bool accumulate) {
    SelectTileBf16Mmla(rows, x, w, depth, sums, accumulate, std::make_index_sequence<12>());
  }
  template <int kRows, int kStreams>
  static void Stream(const uint16_t* x, const uint16_t* const* w, int64_t depth,
                     float* const* sums) {
    Vec sum[kRows][kStreams][kPanelVectors] = {};
    for (int64_t k = 0; k < depth; k += 2) {
      Vec row[(kRows + 3) / 4];
      LoadRows<kRows>(reinterpret_cast<const float*>(x + k * kRows), row);
#pragma GCC unroll 4
      for (int s = 0; s < kStreams; ++s) {
        const uint16_t* from = w[s] + k * kPanelColumns;
        FetchAhead<2>(from);
#pragma GCC unroll 8
        for (int v = 0; v < kPanelVectors; ++v) {
          const Vec weight = Load(reinterpret_cast<const float*>(from + v * 2 * kLanes));
#pragma GCC unroll 4
          for (int r = 0; r < kRows; ++r) {
            const Vec pair = Broadcast(row[r / 4][r % 4]);
            auto& to = sum[r][s][v];
            to = reinterpret_cast<Vec>(
                vbfdotq_f32(reinterpret_cast<float32x4_t>(to), AsBf16(weight), AsBf16(pair)));
          }
        }
      }
    }
    StoreStreams<kRows, kStreams>(sum, sums);
  }
};

}  // namespace
}  // namespace qeff::cpu
