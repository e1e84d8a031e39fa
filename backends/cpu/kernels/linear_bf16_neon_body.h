// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Linear with bf16 weights, and f32 or bf16 rows, for NEON: linear_bf16_body.h with the rows of
// tile_f32_neon.h.
#pragma once

#include "backends/cpu/kernels/linear_bf16_body.h"
#include "backends/cpu/kernels/tile_f32_neon.h"

namespace qeff::cpu {
namespace {

/// Packed rows of one tile, a pair of k at a time: vectors of four rows. Even reads nothing of odd
/// f32 rows, which need not be there.
struct F32RowsNeon : F32Rows {
  template <int kRows>
  QEFF_INLINE static void Even(const float* a, Vec (&even)[(kRows + 3) / 4]) {
    LoadRows<kRows>(a, even);
  }
  template <int kRows>
  QEFF_INLINE static void Both(const float* a, Vec (&even)[(kRows + 3) / 4],
                               Vec (&odd)[(kRows + 3) / 4]) {
    LoadRows<kRows>(a, even);
    LoadRows<kRows>(a + kRows, odd);
  }
};
struct Bf16RowsNeon : Bf16Rows {
  template <int kRows>
  QEFF_INLINE static void Even(const uint16_t* a, Vec (&even)[(kRows + 3) / 4]) {
    Vec odd[(kRows + 3) / 4];
    Both<kRows>(a, even, odd);
  }
  template <int kRows>
  QEFF_INLINE static void Both(const uint16_t* a, Vec (&even)[(kRows + 3) / 4],
                               Vec (&odd)[(kRows + 3) / 4]) {
    Vec pairs[(kRows + 3) / 4];
    LoadRows<kRows>(reinterpret_cast<const float*>(a), pairs);
#pragma GCC unroll 3
    for (int i = 0; i < (kRows + 3) / 4; ++i) {
      even[i] = EvenWeights(reinterpret_cast<VecU>(pairs[i]));
      odd[i] = OddWeights(reinterpret_cast<VecU>(pairs[i]));
    }
  }
};

/// kRows rows by kVectors vectors of columns: `pairs` pairs of k, then the even half of one more if
/// `has_single`.
template <typename Rows, int kRows, int kVectors>
QEFF_INLINE void MicroTileBf16Neon(const typename Rows::Element* a, const uint16_t* b,
                                   int64_t pairs, bool has_single, float* acc, bool accumulate) {
  Vec sum[kRows][kVectors];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      sum[r][v] = accumulate ? Load(acc + r * kPanelColumns + v * kLanes) : Vec{};
    }
  }
  for (int64_t p = 0; p < pairs; ++p) {
    Vec even[(kRows + 3) / 4];
    Vec odd[(kRows + 3) / 4];
    Rows::template Both<kRows>(a, even, odd);
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      const VecU pair = LoadU(b + v * 2 * kLanes);
      const Vec even_weights = EvenWeights(pair);
      const Vec odd_weights = OddWeights(pair);
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) sum[r][v] += even_weights * even[r / 4][r % 4];
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) sum[r][v] += odd_weights * odd[r / 4][r % 4];
    }
    a += 2 * kRows;
    b += 2 * kPanelColumns;
  }
  if (has_single) {
    Vec even[(kRows + 3) / 4];
    Rows::template Even<kRows>(a, even);
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      const Vec even_weights = EvenWeights(LoadU(b + v * 2 * kLanes));
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) sum[r][v] += even_weights * even[r / 4][r % 4];
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) Store(acc + r * kPanelColumns + v * kLanes, sum[r][v]);
  }
}

template <typename Rows, int kRows>
void TileBf16Neon(const typename Rows::Element* a, const uint16_t* b, int64_t depth, float* acc,
                  bool accumulate) {
  constexpr int kVectors = kRows <= 2 ? 8 : kRows <= 5 ? 4 : 2;  // as TileF32, less one register
  for (int c = 0; c < 32; c += kVectors * kLanes) {
    MicroTileBf16Neon<Rows, kRows, kVectors>(a, b + 2 * c, depth / 2, depth % 2 != 0, acc + c,
                                             accumulate);
  }
}

template <typename Rows, size_t... kIndex>
void SelectTileBf16Neon(int64_t rows, const typename Rows::Element* a, const uint16_t* b,
                        int64_t depth, float* acc, bool accumulate,
                        std::index_sequence<kIndex...>) {
  using Function = void (*)(const typename Rows::Element*, const uint16_t*, int64_t, float*, bool);
  static constexpr Function kTiles[] = {&TileBf16Neon<Rows, static_cast<int>(kIndex) + 1>...};
  kTiles[rows - 1](a, b, depth, acc, accumulate);
}

template <typename Rows>
struct LinearBf16NeonFormat : LinearBf16Format<Rows> {
  static void Tile(int64_t rows, const typename Rows::Element* x, const uint16_t* w, int64_t depth,
                   float* sums, bool accumulate) {
    SelectTileBf16Neon<Rows>(rows, x, w, depth, sums, accumulate, std::make_index_sequence<12>());
  }
};

}  // namespace
}  // namespace qeff::cpu
