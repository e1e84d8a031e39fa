// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Linear with bf16 weights and bf16 rows by vdpbf16ps: each 32-bit lane takes the products of one
// pair of k. The instruction rounds the sum of a pair to nearest even and flushes denormals.
#pragma once

#include <immintrin.h>

#include <utility>

#include "backends/cpu/kernels/linear_stream_body.h"

namespace qeff::cpu {
namespace {

/// While `fetch` is fetched.
template <int kRows>
void FetchingTileBf16Dot(const uint16_t* a, const uint16_t* b, int64_t depth, float* acc,
                         bool accumulate, const TileFetch& fetch) {
  __m512 sum[kRows][2];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v) {
      sum[r][v] =
          accumulate ? _mm512_loadu_ps(acc + r * kPanelColumns + v * 16) : _mm512_setzero_ps();
    }
  }
  StepAndFetch((depth + 1) / 2, fetch, [&]() __attribute__((always_inline)) {
    const auto w0 = reinterpret_cast<__m512bh>(_mm512_loadu_si512(b));
    const auto w1 = reinterpret_cast<__m512bh>(_mm512_loadu_si512(b + 32));
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      int32_t pair;
      std::memcpy(&pair, a + 2 * r, sizeof(pair));
      const auto x = reinterpret_cast<__m512bh>(_mm512_set1_epi32(pair));
      sum[r][0] = _mm512_dpbf16_ps(sum[r][0], x, w0);
      sum[r][1] = _mm512_dpbf16_ps(sum[r][1], x, w1);
    }
    a += 2 * kRows;
    b += 2 * kPanelColumns;
  });
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v) _mm512_storeu_ps(acc + r * kPanelColumns + v * 16, sum[r][v]);
  }
}
template <int kRows>
void TileBf16Dot(const uint16_t* a, const uint16_t* b, int64_t depth, float* acc, bool accumulate) {
  FetchingTileBf16Dot<kRows>(a, b, depth, acc, accumulate, {});
}

template <size_t... kIndex>
void SelectTileBf16Dot(int64_t rows, const uint16_t* a, const uint16_t* b, int64_t depth,
                       float* acc, bool accumulate, std::index_sequence<kIndex...>) {
  using Function = void (*)(const uint16_t*, const uint16_t*, int64_t, float*, bool);
  static constexpr Function kTiles[] = {&TileBf16Dot<static_cast<int>(kIndex) + 1>...};
  kTiles[rows - 1](a, b, depth, acc, accumulate);
}

/// Pair p of row r of a packed tile of kRows: [ceil(K/2)][r][2], or the order for matrix tiles,
/// [ceil(K/32)][r][32].
struct PairRows {
  template <int kRows>
  QEFF_INLINE static const uint16_t* At(const uint16_t* x, int64_t p, int r) {
    return x + 2 * (p * kRows + r);
  }
};
struct MatrixTileRows {
  template <int kRows>
  QEFF_INLINE static const uint16_t* At(const uint16_t* x, int64_t p, int r) {
    return x + 32 * (p / 16 * kRows + r) + 2 * (p % 16);
  }
};

template <typename Rows, int kRows, int kStreams>
void StreamBf16Dot(const uint16_t* x, const uint16_t* const* w, int64_t depth, float* const* sums) {
  Vec sum[kRows][kStreams][kPanelVectors] = {};
  const int64_t pairs = (depth + 1) / 2;
  for (int64_t p = 0; p < pairs; ++p) {
    __m512bh row[kRows];
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      int32_t pair;
      std::memcpy(&pair, Rows::template At<kRows>(x, p, r), sizeof(pair));
      row[r] = reinterpret_cast<__m512bh>(_mm512_set1_epi32(pair));
    }
#pragma GCC unroll 4
    for (int s = 0; s < kStreams; ++s) {
      const uint16_t* from = w[s] + p * 2 * kPanelColumns;
      FetchAhead<2>(from);
#pragma GCC unroll 2
      for (int v = 0; v < kPanelVectors; ++v) {
        const auto weight = reinterpret_cast<__m512bh>(_mm512_loadu_si512(from + v * 2 * kLanes));
#pragma GCC unroll 4
        for (int r = 0; r < kRows; ++r) {
          sum[r][s][v] = _mm512_dpbf16_ps(sum[r][s][v], row[r], weight);
        }
      }
    }
  }
  StoreStreams<kRows, kStreams>(sum, sums);
}

template <typename Rows>
struct LinearBf16DotFormat {
  using Weight = uint16_t;
  using Row = uint16_t;
  /// 256 x 32 bf16 = 16 KiB: fits beside the rows in 32 KiB. On a Xeon with 48 KiB 512 were as
  /// fast.
  static constexpr int64_t kBlockDepth = 256;
  static int64_t RowDepth(int64_t depth) { return Bf16RowDepth(depth); }
  static int64_t WeightDepth(int64_t depth) { return RoundUpToEven(depth); }
  static int64_t PanelElements(int64_t depth) { return WeightDepth(depth) * kPanelColumns; }
  static constexpr int StreamCount(int rows) { return FloatStreamCount(rows); }
  static void Tile(int64_t rows, const uint16_t* x, const uint16_t* w, int64_t depth, float* sums,
                   bool accumulate) {
    SelectTileBf16Dot(rows, x, w, depth, sums, accumulate, std::make_index_sequence<12>());
  }
  static void WholeTile(const uint16_t* x, const uint16_t* w, int64_t depth, float* sums,
                        bool accumulate, const TileFetch& fetch) {
    FetchingTileBf16Dot<kTileRows>(x, w, depth, sums, accumulate, fetch);
  }
  template <int kRows, int kStreams>
  static void Stream(const uint16_t* x, const uint16_t* const* w, int64_t depth,
                     float* const* sums) {
    StreamBf16Dot<Rows, kRows, kStreams>(x, w, depth, sums);
  }
};

}  // namespace
}  // namespace qeff::cpu
