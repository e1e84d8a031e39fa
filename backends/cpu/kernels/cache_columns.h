// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Cached keys and values as the right operand of products, for each CacheFormat: columns that give
// their vectors as f32, one k after the other. Keys [E][32 slots] have a slot in each column and
// channels as k; values [slots][Ev] have a channel in each column and slots as k.
#pragma once

#include <utility>

#include "backends/cpu/kernels/kernels.h"
#include "backends/cpu/kernels/narrow_loads.h"

namespace qeff::cpu {
namespace {

QEFF_INLINE Vec LoadElement(const float* from) { return Load(from); }
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
  const Element* at;
  int64_t stride;
  QEFF_INLINE Vec Get(int v) const { return LoadElement(at + v * kLanes); }
  QEFF_INLINE void Next() { at += stride; }
  QEFF_INLINE PlainColumns From(int64_t column) const { return {at + column, stride}; }
};

constexpr float kMxint8Unit = 0x1p-6f;  // what the number 1 stands for, at the scale 1

/// One block of channels of MXINT8 keys: a scale for each column.
struct MxKeyColumns {
  const int8_t* at;
  const uint8_t* scales;
  QEFF_INLINE Vec Get(int v) const {
    return LoadI8(at + v * kLanes) * (LoadE8m0(scales + v * kLanes) * kMxint8Unit);
  }
  QEFF_INLINE void Next() { at += kPanelColumns; }
  QEFF_INLINE MxKeyColumns From(int64_t column) const { return {at + column, scales + column}; }
};

/// One block of channels of MXINT8 values: a scale for each k.
struct MxValueColumns {
  const int8_t* at;
  int64_t stride;
  const float* scale;
  QEFF_INLINE Vec Get(int v) const { return LoadI8(at + v * kLanes) * Broadcast(*scale); }
  QEFF_INLINE void Next() {
    at += stride;
    ++scale;
  }
  QEFF_INLINE MxValueColumns From(int64_t column) const { return {at + column, stride, scale}; }
};

/// What a block of slots needs besides the cache.
struct CacheScratch {
  alignas(64) float scales[kAttentionBlockSlots + kLanes];
};

/// The columns of a format without scales.
template <typename Element>
struct PlainCache {
  static constexpr int64_t kKeyDepth = int64_t{1} << 40;  ///< channels that Keys serves
  static PlainColumns<Element> Keys(const std::byte* panel, int64_t, int64_t channel) {
    return {reinterpret_cast<const Element*>(panel) + channel * kPanelColumns, kPanelColumns};
  }
  static PlainColumns<Element> Values(const std::byte* head, const AttentionArgs& args,
                                      int64_t slot, int64_t, int64_t channel, CacheScratch&) {
    return {reinterpret_cast<const Element*>(head) + slot * args.value_size + channel,
            args.value_size};
  }
};

struct Mxint8Cache {
  static constexpr int64_t kKeyDepth = kMxBlock;
  static MxKeyColumns Keys(const std::byte* panel, int64_t size, int64_t channel) {
    const auto* scales = reinterpret_cast<const uint8_t*>(panel) + size * kPanelColumns;
    return {reinterpret_cast<const int8_t*>(panel) + channel * kPanelColumns,
            scales + channel / kMxBlock * kPanelColumns};
  }
  static MxValueColumns Values(const std::byte* head, const AttentionArgs& args, int64_t slot,
                               int64_t count, int64_t channel, CacheScratch& scratch) {
    const auto* scales = reinterpret_cast<const uint8_t*>(head) +
                         args.value_capacity * args.value_size +
                         channel / kMxBlock * args.value_capacity + slot;
    int64_t j = 0;
    for (; j + kLanes <= count; j += kLanes) {
      Store(scratch.scales + j, LoadE8m0(scales + j) * kMxint8Unit);
    }
    if (j < count) {
      uint8_t last[kLanes] = {};
      for (int64_t i = j; i < count; ++i) last[i - j] = scales[i];
      Store(scratch.scales + j, LoadE8m0(last) * kMxint8Unit);
    }
    return {reinterpret_cast<const int8_t*>(head) + slot * args.value_size + channel,
            args.value_size, scratch.scales};
  }
};

/// acc[r][c] (+)= sum over k of a[k * kRows + r] * columns[k][c] for kVectors vectors of columns:
/// MicroTileF32 over columns that are converted where they are loaded.
template <typename Columns, int kRows, int kVectors>
QEFF_INLINE void MicroTileCache(const float* a, int64_t a_stride, Columns columns, int64_t depth,
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

/// The same for 32 columns; `a_stride` rows of it are kRows of.
template <typename Columns, int kRows>
void TileCache(const float* a, int64_t a_stride, Columns columns, int64_t depth, float* acc,
               int64_t acc_stride, bool accumulate) {
  if constexpr (kLanes == 16) {
    MicroTileCache<Columns, kRows, 2>(a, a_stride, columns, depth, acc, acc_stride, accumulate);
  } else if constexpr (kRows > 4) {  // 8 sums, 2 of the cache, a row, what the scales need
    TileCache<Columns, 4>(a, a_stride, columns, depth, acc, acc_stride, accumulate);
    TileCache<Columns, kRows - 4>(a + 4, a_stride, columns, depth, acc + 4 * acc_stride, acc_stride,
                                  accumulate);
  } else {
    for (int64_t c = 0; c < kPanelColumns; c += 2 * kLanes) {
      MicroTileCache<Columns, kRows, 2>(a, a_stride, columns.From(c), depth, acc + c, acc_stride,
                                        accumulate);
    }
  }
}

template <typename Columns>
using TileCacheFunction = void (*)(const float*, int64_t, Columns, int64_t, float*, int64_t, bool);

template <typename Columns, size_t... kIndex>
constexpr TileCacheFunction<Columns> SelectTileCache(int64_t rows, std::index_sequence<kIndex...>) {
  constexpr TileCacheFunction<Columns> kTiles[] = {
      &TileCache<Columns, static_cast<int>(kIndex) + 1>...};
  return kTiles[rows - 1];
}
/// The tile for `rows` in 1..12.
template <typename Columns>
QEFF_INLINE TileCacheFunction<Columns> TileCacheFor(int64_t rows) {
  return SelectTileCache<Columns>(rows, std::make_index_sequence<12>());
}

}  // namespace
}  // namespace qeff::cpu
