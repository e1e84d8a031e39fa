// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The register tile of f32 products: up to 12 rows by 32 columns. Used by Linear and by attention.
#pragma once

#include <utility>

#include "backends/cpu/kernels/tile_fetch.h"
#include "backends/cpu/kernels/vector.h"
#if defined(QEFF_NEON)
#include "backends/cpu/kernels/tile_f32_neon.h"
#endif

namespace qeff::cpu {
namespace {

#if !defined(QEFF_NEON)
/// acc[r][c] (+)= sum over k of a[k * a_stride + r] * b[k * b_stride + c] for r < kRows and
/// kVectors vectors of columns. kAhead: rows of `b` that far ahead are fetched; 0: none.
template <int kRows, int kVectors, int kAhead = 0>
QEFF_INLINE void MicroTileF32(const float* a, int64_t a_stride, const float* b, int64_t b_stride,
                              int64_t depth, float* acc, int64_t acc_stride, bool accumulate,
                              const TileFetch& fetch = {}) {
  Vec sum[kRows][kVectors];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      sum[r][v] = accumulate ? Load(acc + r * acc_stride + v * kLanes) : Vec{};
    }
  }
  StepAndFetch(
      depth, fetch, [&]() __attribute__((always_inline)) {
        Vec w[kVectors];
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; ++v) {
          w[v] = Load(b + v * kLanes);
          if constexpr (kAhead > 0) __builtin_prefetch(b + kAhead * b_stride + v * kLanes);
        }
#pragma GCC unroll 16
        for (int r = 0; r < kRows; ++r) {
          const Vec x = Broadcast(a[r]);
#pragma GCC unroll 8
          for (int v = 0; v < kVectors; ++v) sum[r][v] += x * w[v];
        }
        a += a_stride;
        b += b_stride;
      });
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) Store(acc + r * acc_stride + v * kLanes, sum[r][v]);
  }
}

/// The same for 32 columns. 32 registers hold 12 rows of two vectors; 16 registers hold 6 rows of
/// two, and there nothing is fetched.
template <int kRows, int kAhead = 0>
void TileF32(const float* a, int64_t a_stride, const float* b, int64_t b_stride, int64_t depth,
             float* acc, int64_t acc_stride, bool accumulate) {
  if constexpr (kLanes == 16) {
    MicroTileF32<kRows, 2, kAhead>(a, a_stride, b, b_stride, depth, acc, acc_stride, accumulate);
  } else if constexpr (kRows > 6) {
    TileF32<6>(a, a_stride, b, b_stride, depth, acc, acc_stride, accumulate);
    TileF32<kRows - 6>(a + 6, a_stride, b, b_stride, depth, acc + 6 * acc_stride, acc_stride,
                       accumulate);
  } else {
    constexpr int kVectors = kRows <= 2 ? 4 : 2;
    for (int c = 0; c < 32; c += kVectors * kLanes) {
      MicroTileF32<kRows, kVectors>(a, a_stride, b + c, b_stride, depth, acc + c, acc_stride,
                                    accumulate);
    }
  }
}

/// MicroTileF32 of kPacked packed rows and 32 columns, or the first kRows of them, while `fetch` is
/// fetched. A function of its own: in larger ones gcc spills the sums.
template <int kRows, int kPacked = 12>
[[gnu::noinline]] void FetchingTileF32(const float* a, const float* b, int64_t depth, float* acc,
                                       bool accumulate, const TileFetch& fetch) {
  MicroTileF32<kRows, 2>(a, kPacked, b, 32, depth, acc, 32, accumulate, fetch);
}
using FetchingTileF32Function = void (*)(const float*, const float*, int64_t, float*, bool,
                                         const TileFetch&);
template <size_t... kIndex>
constexpr FetchingTileF32Function SelectFetchingTileF32(int64_t rows,
                                                        std::index_sequence<kIndex...>) {
  constexpr FetchingTileF32Function kTiles[] = {
      &FetchingTileF32<static_cast<int>(kIndex) + 1, static_cast<int>(kIndex) + 1>...};
  return kTiles[rows - 1];
}
/// The tile for `rows` in 1..12, packed.
QEFF_INLINE FetchingTileF32Function FetchingTileF32For(int64_t rows) {
  return SelectFetchingTileF32(rows, std::make_index_sequence<12>());
}

/// The tile of 12 rows by 32 columns, each row and column beside the next.
inline void WholeTileF32(const float* a, const float* b, int64_t depth, float* acc, bool accumulate,
                         const TileFetch& fetch) {
  if constexpr (kLanes == 16) {
    FetchingTileF32<12>(a, b, depth, acc, accumulate, fetch);
  } else {
    FetchingTileF32<6>(a, b, depth, acc, accumulate, fetch);
    for (int c = 2 * kLanes; c < 32; c += 2 * kLanes) {
      FetchingTileF32<6>(a, b + c, depth, acc + c, accumulate, {});
    }
    TileF32<6>(a + 6, 12, b, 32, depth, acc + 6 * 32, 32, accumulate);
  }
}

#endif

using TileF32Function = void (*)(const float*, int64_t, const float*, int64_t, int64_t, float*,
                                 int64_t, bool);

template <int kAhead, size_t... kIndex>
constexpr TileF32Function SelectTileF32(int64_t rows, std::index_sequence<kIndex...>) {
  constexpr TileF32Function kTiles[] = {&TileF32<static_cast<int>(kIndex) + 1, kAhead>...};
  return kTiles[rows - 1];
}
/// The tile for `rows` in 1..12.
template <int kAhead = 0>
QEFF_INLINE TileF32Function TileF32For(int64_t rows) {
  return SelectTileF32<kAhead>(rows, std::make_index_sequence<12>());
}

/// kAhead for keys and values of attention, which are not in the first-level cache: 2 to 7 % on a
/// Xeon.
constexpr int kTileAhead = 16;

QEFF_INLINE Vec LoadElement(const float* from) { return Load(from); }

#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int kRowsTileVectors = 2;  // 12 rows of them are 24 of 32 registers
#else
constexpr int kRowsTileVectors = 1;  // 12 of 16
#endif

/// out[r][c] (+)= sum over k of a[r * a_stride + k] * b[k * b_stride + c] for r < kRows, c < 32:
/// the same for rows that stand one after the other. `Weight` has a LoadElement of kLanes of them
/// as f32.
template <int kRows, int kAhead, typename Weight>
void RowsTileF32(const float* a, int64_t a_stride, const Weight* b, int64_t b_stride, int64_t depth,
                 float* out, int64_t out_stride, bool accumulate) {
  constexpr int kVectors = kRowsTileVectors;
  for (int c = 0; c < 32; c += kVectors * kLanes) {
    Vec sum[kRows][kVectors];
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) {
        sum[r][v] = accumulate ? Load(out + r * out_stride + c + v * kLanes) : Vec{};
      }
    }
    for (int64_t k = 0; k < depth; ++k) {
      Vec w[kVectors];
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) {
        w[v] = LoadElement(b + k * b_stride + c + v * kLanes);
        if constexpr (kAhead > 0) __builtin_prefetch(b + (k + kAhead) * b_stride + c + v * kLanes);
      }
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        const Vec x = Broadcast(a[r * a_stride + k]);
#pragma GCC unroll 2
        for (int v = 0; v < kVectors; ++v) sum[r][v] += x * w[v];
      }
    }
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) {
        Store(out + r * out_stride + c + v * kLanes, sum[r][v]);
      }
    }
  }
}

template <typename Weight>
using RowsTileF32Function = void (*)(const float*, int64_t, const Weight*, int64_t, int64_t, float*,
                                     int64_t, bool);
template <int kAhead, typename Weight, size_t... kIndex>
constexpr RowsTileF32Function<Weight> SelectRowsTileF32(int64_t rows,
                                                        std::index_sequence<kIndex...>) {
  constexpr RowsTileF32Function<Weight> kTiles[] = {
      &RowsTileF32<static_cast<int>(kIndex) + 1, kAhead, Weight>...};
  return kTiles[rows - 1];
}
/// The tile for `rows` in 1..12.
template <typename Weight, int kAhead = 0>
QEFF_INLINE RowsTileF32Function<Weight> RowsTileF32For(int64_t rows) {
  return SelectRowsTileF32<kAhead, Weight>(rows, std::make_index_sequence<12>());
}

}  // namespace
}  // namespace qeff::cpu
