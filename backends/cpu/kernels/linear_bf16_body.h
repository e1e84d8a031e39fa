// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Linear with bf16 weights: each weight becomes an f32 in registers, exactly; products and sums are
// f32. Rows are f32, or bf16 where the machine has no instruction for products of bf16 pairs.
#pragma once

#include <utility>

#include "backends/cpu/kernels/linear_stream_body.h"

namespace qeff::cpu {
namespace {

/// 32 columns of one pair of k: the even k is the low half of each 32-bit lane.
QEFF_INLINE Vec EvenWeights(VecU pair) { return BitsToFloat(pair << 16); }
QEFF_INLINE Vec OddWeights(VecU pair) { return BitsToFloat(pair & 0xffff0000u); }

/// An even k and the odd one after it, of one row, in all lanes.
struct RowPair {
  Vec even;
  Vec odd;
};

/// Packed rows of one tile: At(), element k of row r; Pair(), two of them in one load.
struct F32Rows {
  using Element = float;
  static int64_t StoredDepth(int64_t depth) { return depth; }
  QEFF_INLINE static RowPair Pair(const float* a, int64_t rows, int r) {
    return {Broadcast(a[r]), Broadcast(a[rows + r])};
  }
  QEFF_INLINE static float At(const float* a, int64_t rows, int half, int r) {
    return a[half * rows + r];
  }
};
struct Bf16Rows {
  using Element = uint16_t;
  static int64_t StoredDepth(int64_t depth) { return Bf16RowDepth(depth); }
  QEFF_INLINE static RowPair Pair(const uint16_t* a, int64_t, int r) {
    float bits;  // as a float: compilers would shift an integer before they broadcast it
    std::memcpy(&bits, a + 2 * r, sizeof(bits));
    const auto both = reinterpret_cast<VecU>(Broadcast(bits));
    return {EvenWeights(both), OddWeights(both)};
  }
  QEFF_INLINE static float At(const uint16_t* a, int64_t, int half, int r) {
    const uint32_t bits = uint32_t{a[2 * r + half]} << 16;
    float value;
    std::memcpy(&value, &bits, sizeof(value));
    return value;
  }
};

/// Rows [first, first + kRows) of a tile of `rows`: `pairs` pairs of k, then the even half of one
/// more if `has_single`.
template <typename Rows, int kRows, int kVectors>
QEFF_INLINE void MicroTileBf16(const typename Rows::Element* a, int64_t rows, int first,
                               const uint16_t* b, int64_t pairs, bool has_single, float* acc,
                               bool accumulate) {
  Vec sum[kRows][kVectors];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      sum[r][v] = accumulate ? Load(acc + r * kPanelColumns + v * kLanes) : Vec{};
    }
  }
  for (int64_t p = 0; p < pairs; ++p) {
    Vec even[kVectors];
    Vec odd[kVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      const VecU pair = LoadU(b + v * 2 * kLanes);
      even[v] = EvenWeights(pair);
      odd[v] = OddWeights(pair);
    }
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const RowPair x = Rows::Pair(a, rows, first + r);
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) sum[r][v] += x.even * even[v];
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) sum[r][v] += x.odd * odd[v];
    }
    a += 2 * rows;
    b += 2 * kPanelColumns;
  }
  if (has_single) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      const Vec even = EvenWeights(LoadU(b + v * 2 * kLanes));
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r)
        sum[r][v] += Broadcast(Rows::At(a, rows, 0, first + r)) * even;
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) Store(acc + r * kPanelColumns + v * kLanes, sum[r][v]);
  }
}

/// Rows [kFirst, kFirst + kRows) of a tile of `rows`.
template <typename Rows, int kRows, int kFirst>
QEFF_INLINE void TileBf16Part(const typename Rows::Element* a, int64_t rows, const uint16_t* b,
                              int64_t depth, float* acc, bool accumulate) {
  const bool has_single = depth % 2 != 0;
  if constexpr (kLanes == 16) {
    MicroTileBf16<Rows, kRows, 2>(a, rows, kFirst, b, depth / 2, has_single, acc, accumulate);
  } else if constexpr (kRows > 4) {  // 8 sums, 4 weights, 1 row: 16 registers
    TileBf16Part<Rows, 4, kFirst>(a, rows, b, depth, acc, accumulate);
    TileBf16Part<Rows, kRows - 4, kFirst + 4>(a, rows, b, depth, acc, accumulate);
  } else {
    for (int c = 0; c < 32; c += 2 * kLanes) {
      MicroTileBf16<Rows, kRows, 2>(a, rows, kFirst, b + 2 * c, depth / 2, has_single,
                                    acc + kFirst * kPanelColumns + c, accumulate);
    }
  }
}

template <typename Rows, int kRows>
void TileBf16(const typename Rows::Element* a, const uint16_t* b, int64_t depth, float* acc,
              bool accumulate) {
  TileBf16Part<Rows, kRows, 0>(a, kRows, b, depth, acc, accumulate);
}

template <typename Rows, size_t... kIndex>
void SelectTileBf16(int64_t rows, const typename Rows::Element* a, const uint16_t* b, int64_t depth,
                    float* acc, bool accumulate, std::index_sequence<kIndex...>) {
  using Function = void (*)(const typename Rows::Element*, const uint16_t*, int64_t, float*, bool);
  static constexpr Function kTiles[] = {&TileBf16<Rows, static_cast<int>(kIndex) + 1>...};
  kTiles[rows - 1](a, b, depth, acc, accumulate);
}

template <typename Rows>
struct LinearBf16Format {
  using Weight = uint16_t;
  using Row = typename Rows::Element;
  static constexpr int64_t kBlockDepth = 256;  // the rows, [256][12], and the panel's block, 16 KiB
  static int64_t RowDepth(int64_t depth) { return Rows::StoredDepth(depth); }
  static int64_t WeightDepth(int64_t depth) { return RoundUpToEven(depth); }
  static int64_t PanelElements(int64_t depth) { return WeightDepth(depth) * kPanelColumns; }
  static constexpr int StreamCount(int rows) { return FloatStreamCount(rows); }
  static void Tile(int64_t rows, const Row* x, const uint16_t* w, int64_t depth, float* sums,
                   bool accumulate) {
    SelectTileBf16<Rows>(rows, x, w, depth, sums, accumulate, std::make_index_sequence<12>());
  }
  /// `depth` k of a panel as [depth][32] f32.
  static void WidenWeights(const uint16_t* from, int64_t depth, float* to) {
    for (int64_t k = 0; k < depth; k += 2, to += 2 * kPanelColumns) {
#pragma GCC unroll 8
      for (int v = 0; v < kPanelVectors; ++v, from += 2 * kLanes) {
        const VecU pair = LoadU(from);
        Store(to + v * kLanes, EvenWeights(pair));
        if (k + 1 < depth) Store(to + kPanelColumns + v * kLanes, OddWeights(pair));
      }
    }
  }
  /// `depth` k of a tile of `rows` bf16 rows as [depth][rows] f32.
  static void WidenRows(const uint16_t* from, int64_t rows, int64_t depth, float* to) {
    for (int64_t k = 0; k < depth; k += 2, from += 2 * rows, to += 2 * rows) {
      if (rows == kTileRows && k + 1 < depth) {
        WidenRowPairs(from, to);
        continue;
      }
      for (int64_t r = 0; r < rows; ++r) {
        to[r] = Rows::At(from, rows, 0, r);
        if (k + 1 < depth) to[rows + r] = Rows::At(from, rows, 1, r);
      }
    }
  }
  /// One pair of k of kTileRows rows.
  QEFF_INLINE static void WidenRowPairs(const uint16_t* from, float* to) {
    constexpr int kLast = kTileRows - kLanes;  // vectors overlap, or one takes all
#if defined(__AVX512F__)
    static_assert(kLast <= 0);
    constexpr __mmask16 kRowMask = (1 << kTileRows) - 1;
    const auto both = reinterpret_cast<VecU>(_mm512_maskz_loadu_epi32(kRowMask, from));
    _mm512_mask_storeu_ps(to, kRowMask, EvenWeights(both));
    _mm512_mask_storeu_ps(to + kTileRows, kRowMask, OddWeights(both));
#else
    for (int r = 0; r <= kLast; r += kLanes <= kLast ? kLanes : kLast) {
      const VecU both = LoadU(from + 2 * r);
      Store(to + r, EvenWeights(both));
      Store(to + kTileRows + r, OddWeights(both));
    }
#endif
  }
  template <int kRows, int kStreams>
  static void Stream(const Row* x, const uint16_t* const* w, int64_t depth, float* const* sums) {
    Vec sum[kRows][kStreams][kPanelVectors] = {};
    const int64_t pairs = depth / 2;
    for (int64_t p = 0; p < pairs; ++p, x += 2 * kRows) {
#pragma GCC unroll 4
      for (int s = 0; s < kStreams; ++s) {
        const uint16_t* from = w[s] + p * 2 * kPanelColumns;
        FetchAhead<2>(from);
#pragma GCC unroll 8
        for (int v = 0; v < kPanelVectors; ++v) {
          const VecU pair = LoadU(from + v * 2 * kLanes);
#pragma GCC unroll 4
          for (int r = 0; r < kRows; ++r) {
            sum[r][s][v] += Broadcast(Rows::At(x, kRows, 0, r)) * EvenWeights(pair);
            sum[r][s][v] += Broadcast(Rows::At(x, kRows, 1, r)) * OddWeights(pair);
          }
        }
      }
    }
    if (depth % 2 != 0) {
#pragma GCC unroll 4
      for (int s = 0; s < kStreams; ++s) {
#pragma GCC unroll 8
        for (int v = 0; v < kPanelVectors; ++v) {
          const Vec even = EvenWeights(LoadU(w[s] + pairs * 2 * kPanelColumns + v * 2 * kLanes));
#pragma GCC unroll 4
          for (int r = 0; r < kRows; ++r) {
            sum[r][s][v] += Broadcast(Rows::At(x, kRows, 0, r)) * even;
          }
        }
      }
    }
    StoreStreams<kRows, kStreams>(sum, sums);
  }
};

}  // namespace
}  // namespace qeff::cpu
