// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Cached keys and values as the right operand of products (tile_columns.h), for each CacheFormat.
// Keys [E][32 slots] have a slot in each column and channels as k; values [slots][Ev] have a
// channel in each column and slots as k.
#pragma once

#include "backends/cpu/kernels/kernels.h"
#include "backends/cpu/kernels/tile_columns.h"

namespace qeff::cpu {
namespace {

constexpr float kMxint8Unit = 0x1p-6f;  // what the number 1 stands for, at the scale 1

/// One block of channels of MXINT8 keys: a scale for each column.
struct MxKeyColumns {
  static constexpr int kElementBytes = 1;
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
  static constexpr int kElementBytes = 1;
  const int8_t* at;
  int64_t stride;
  const float* scale;
  QEFF_INLINE Vec Get(int v) const { return LoadI8(at + v * kLanes) * Broadcast(*scale); }
  QEFF_INLINE void Next() {
    at += stride;
    ++scale;
  }
  QEFF_INLINE MxValueColumns Skip(int64_t count) const {
    return {at + count * stride, stride, scale + count};
  }
  QEFF_INLINE MxValueColumns From(int64_t column) const { return {at + column, stride, scale}; }
};

/// What a block of slots needs besides the cache.
struct CacheScratch {
  alignas(64) float scales[kDecodeBlockSlots + kLanes];
};

/// The columns of a format without scales.
template <typename Element>
struct PlainCache {
  static constexpr bool kHasScales = false;
  static constexpr int64_t kKeyDepth = int64_t{1} << 40;    ///< channels that Keys serves
  static constexpr int64_t kValueWidth = int64_t{1} << 40;  ///< and Values
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
  static constexpr bool kHasScales = true;
  static constexpr int64_t kKeyDepth = kMxBlock;
  static constexpr int64_t kValueWidth = kMxBlock;
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

/// Of `size` channels, those that Keys(_, size, channel) serves.
template <typename Cache>
constexpr int64_t KeyDepth(int64_t size, int64_t channel) {
  return size - channel < Cache::kKeyDepth ? size - channel : Cache::kKeyDepth;
}

}  // namespace
}  // namespace qeff::cpu
