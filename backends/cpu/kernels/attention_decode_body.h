// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The products of attention with so few query rows that reading the cache takes longest. Keys and
// values are read at several places side by side, each fetched some lines ahead, as streams of
// weights are (linear_stream_body.h).
#pragma once

#include "backends/cpu/kernels/attention_tile.h"
#include "backends/cpu/kernels/cache_columns.h"

namespace qeff::cpu {
namespace {

#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int kDecodeSums = 24;  // of 32 registers
#else
constexpr int kDecodeSums = 8;  // of 16: narrow columns also need their scales
#endif
constexpr int kKeyVectors = static_cast<int>(kPanelColumns) / kLanes;
/// Rows that share a pass over keys: with more places fewer would fit the registers.
constexpr int kKeyRows = kDecodeSums / kKeyVectors < 4 ? kDecodeSums / kKeyVectors : 4;
constexpr int kValueRows = kDecodeSums == 24 ? 6 : 4;  ///< and over values
constexpr int kMostPlaces = 4;                         ///< that are read side by side

/// How far ahead of what is read memory is asked for, as in streams of weights; and into the
/// second-level cache, which holds more requests: 3 % of reading f32 with three query heads a kv
/// head, 7 % of bf16, on a Xeon.
constexpr int64_t kDecodeAheadBytes = 1024;
constexpr int64_t kDecodeFarBytes = 4096;

/// How far ahead a pass over so many bytes asks the second-level cache: not past their end if they
/// are few.
constexpr int64_t FarBytes(int64_t bytes) {
  return bytes >= 4 * kDecodeFarBytes ? kDecodeFarBytes : kDecodeAheadBytes;
}

template <int kBytes>
QEFF_INLINE void FetchColumns(const void* from, int64_t far_bytes) {
  constexpr int kSecondLevel = 2;
  const auto* at = static_cast<const char*>(from);
#pragma GCC unroll 8
  for (int i = 0; i < kBytes; i += 64) {
    __builtin_prefetch(at + kDecodeAheadBytes + i);
    __builtin_prefetch(at + far_bytes + i, 0, kSecondLevel);
  }
}

/// scores[p][r][c] (+)= sum over e of queries[r][e] * keys[p][e][c] for the panels of
/// kPlaces places.
template <int kRows, int kPlaces, bool kFetches, typename Columns>
QEFF_INLINE void ScorePanels(const float* queries, int64_t query_stride, Columns* keys,
                             int64_t depth, int64_t far_bytes, float* const* scores,
                             bool accumulate) {
  Vec sum[kPlaces][kRows][kKeyVectors];
#pragma GCC unroll 4
  for (int p = 0; p < kPlaces; ++p) {
#pragma GCC unroll 12
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
      for (int v = 0; v < kKeyVectors; ++v) {
        sum[p][r][v] = accumulate ? Load(scores[p] + r * kDecodeBlockSlots + v * kLanes) : Vec{};
      }
    }
  }
  for (int64_t e = 0; e < depth; ++e) {
#pragma GCC unroll 4
    for (int p = 0; p < kPlaces; ++p) {
      if constexpr (kFetches) {
        FetchColumns<kPanelColumns * Columns::kElementBytes>(keys[p].at, far_bytes);
      }
      Vec w[kKeyVectors];
#pragma GCC unroll 8
      for (int v = 0; v < kKeyVectors; ++v) w[v] = keys[p].Get(v);
      keys[p].Next();
#pragma GCC unroll 12
      for (int r = 0; r < kRows; ++r) {
        const Vec x = Broadcast(queries[r * query_stride]);
#pragma GCC unroll 8
        for (int v = 0; v < kKeyVectors; ++v) sum[p][r][v] += x * w[v];
      }
    }
    ++queries;
  }
#pragma GCC unroll 4
  for (int p = 0; p < kPlaces; ++p) {
#pragma GCC unroll 12
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
      for (int v = 0; v < kKeyVectors; ++v) {
        Store(scores[p] + r * kDecodeBlockSlots + v * kLanes, sum[p][r][v]);
      }
    }
  }
}

/// Panels that are read side by side for a group of `rows` rows.
template <typename Cache>
constexpr int KeyPlaces(int64_t rows) {
  int places = Cache::kHasScales ? 2 : kMostPlaces;
  while (places > 1 && rows * places * kKeyVectors > kDecodeSums) places /= 2;
  return places;
}

/// Groups that `rows` rows come in, of nearly the same size, and the size of the largest, which is
/// the first.
constexpr int64_t RowGroups(int64_t rows, int64_t most) { return (rows + most - 1) / most; }
constexpr int64_t RowsOfGroup(int64_t rows, int64_t most) {
  return (rows + RowGroups(rows, most) - 1) / RowGroups(rows, most);
}

/// The scores of up to kMost rows with the panels at keys, keys + stride, ..., to those at scores.
template <typename Cache, int kMost, int kPlaces, bool kFetches>
QEFF_INLINE void ScoreRows(const AttentionArgs& args, int64_t rows, const float* queries,
                           const std::byte* keys, int64_t stride, int64_t far_bytes,
                           float* const* scores) {
  if constexpr (kMost > 1) {
    constexpr bool kFits = kMost * kPlaces * kKeyVectors <= kDecodeSums;
    if (!kFits || rows < kMost) {
      return ScoreRows<Cache, kMost - 1, kPlaces, kFetches>(args, rows, queries, keys, stride,
                                                            far_bytes, scores);
    }
  }
  for (int64_t e = 0; e < args.key_size; e += Cache::kKeyDepth) {
    decltype(Cache::Keys(keys, args.key_size, e)) columns[kPlaces];
    for (int p = 0; p < kPlaces; ++p) {
      columns[p] = Cache::Keys(keys + p * stride, args.key_size, e);
    }
    ScorePanels<kMost, kPlaces, kFetches>(queries + e, args.key_size, columns,
                                          KeyDepth<Cache>(args.key_size, e), far_bytes, scores,
                                          e > 0);
  }
}

/// The scores of `rows` rows, `group` at a time, with `panels` panels of keys.
template <typename Cache, int kPlaces>
void ScoreKeys(const AttentionArgs& args, int64_t rows, int64_t group, const float* queries,
               const std::byte* keys, int64_t panels, float* scores) {
  const int64_t panel_bytes = kPanelColumns * CacheSlotBytes(args.format, args.key_size);
  const int64_t count = panels / kPlaces;
  const int64_t far_bytes = FarBytes(panels * panel_bytes);
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t r = 0; r < rows; r += group) {
      float* to[kPlaces];
      for (int p = 0; p < kPlaces; ++p) {
        to[p] = scores + r * kDecodeBlockSlots + (p * count + i) * kPanelColumns;
      }
      const std::byte* from = keys + i * panel_bytes;
      const int64_t some = rows - r < group ? rows - r : group;
      if (r == 0) {
        ScoreRows<Cache, kKeyRows, kPlaces, true>(args, some, queries, from, count * panel_bytes,
                                                  far_bytes, to);
      } else {
        ScoreRows<Cache, kKeyRows, kPlaces, false>(args, some, queries + r * args.key_size, from,
                                                   count * panel_bytes, far_bytes, to);
      }
    }
  }
  const int64_t done = count * kPlaces;
  if constexpr (kPlaces > 1) {
    if (done < panels) {
      ScoreKeys<Cache, kPlaces / 2>(args, rows, group, queries, keys + done * panel_bytes,
                                    panels - done, scores + done * kPanelColumns);
    }
  }
}

/// Places at which the values of a block are read side by side.
constexpr int ValuePlaces(int64_t count) {
  return count >= kDecodeBlockSlots / 2 && count % kMostPlaces == 0 ? kMostPlaces : 1;
}

/// sums[r][c] += sum over j of weights[r][j] * values[j][c] for j < count, a multiple of kPlaces.
template <int kRows, int kVectors, int kPlaces, bool kFetches, typename Columns>
QEFF_INLINE void AddValues(const float* weights, const Columns& values, int64_t count, float* sums,
                           int64_t sum_stride) {
  const int64_t part = count / kPlaces;
  constexpr int kBytes = kVectors * kLanes * Columns::kElementBytes;
  const int64_t far_bytes = FarBytes(count * kBytes);
  Vec sum[kRows][kVectors];
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) sum[r][v] = Load(sums + r * sum_stride + v * kLanes);
  }
  Columns columns[kPlaces];
  for (int p = 0; p < kPlaces; ++p) columns[p] = values.Skip(p * part);
  for (int64_t j = 0; j < part; ++j) {
#pragma GCC unroll 4
    for (int p = 0; p < kPlaces; ++p) {
      if constexpr (kFetches) {
        FetchColumns<kBytes>(columns[p].at, far_bytes);
      }
      Vec w[kVectors];
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) w[v] = columns[p].Get(v);
      columns[p].Next();
#pragma GCC unroll 12
      for (int r = 0; r < kRows; ++r) {
        const Vec x = Broadcast(weights[r * kDecodeBlockSlots + p * part]);
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; ++v) sum[r][v] += x * w[v];
      }
    }
    ++weights;
  }
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) Store(sums + r * sum_stride + v * kLanes, sum[r][v]);
  }
}

template <int kRows, int kVectors, bool kFetches, typename Columns>
QEFF_INLINE void AddColumns(const float* weights, const Columns& values, int64_t first,
                            int64_t width, int64_t count, float* sums, int64_t sum_stride) {
  constexpr int kWidth = kVectors * kLanes;
  if constexpr (kRows * kVectors <= kDecodeSums) {
    for (; first + kWidth <= width; first += kWidth) {
      if (ValuePlaces(count) == kMostPlaces) {
        AddValues<kRows, kVectors, kMostPlaces, kFetches>(weights, values.From(first), count,
                                                          sums + first, sum_stride);
      } else {
        AddValues<kRows, kVectors, 1, kFetches>(weights, values.From(first), count, sums + first,
                                                sum_stride);
      }
    }
  }
  if constexpr (kVectors > 1) {
    if (first < width) {
      AddColumns<kRows, kVectors / 2, kFetches>(weights, values, first, width, count, sums,
                                                sum_stride);
    }
  }
}

template <int kMost, bool kFetches, typename Columns>
QEFF_INLINE void AddRows(int64_t rows, const float* weights, const Columns& values, int64_t width,
                         int64_t count, float* sums, int64_t sum_stride) {
  if constexpr (kMost > 1) {
    if (rows < kMost) {
      return AddRows<kMost - 1, kFetches>(rows, weights, values, width, count, sums, sum_stride);
    }
  }
  AddColumns<kMost, 8, kFetches>(weights, values, 0, width, count, sums, sum_stride);
}

/// Asks for what a pass begins with that reads `bytes` bytes at each of `places` places, while
/// something else keeps the processor busy: the softmax alone took 3 % of reading three query heads
/// a kv head on a Xeon.
inline void FetchStart(const std::byte* block, int64_t places, int64_t bytes) {
  const int64_t start = bytes < kDecodeAheadBytes ? bytes : kDecodeAheadBytes;
  for (int64_t i = 0; i < start; i += 64) {
    for (int64_t p = 0; p < places; ++p) __builtin_prefetch(block + p * bytes + i);
  }
}

/// The products of a block; as TileProducts.
template <typename Cache>
struct DecodeProducts {
  static constexpr int64_t kBlockSlots = kDecodeBlockSlots;
  static void FetchKeys(const AttentionArgs& args, const AttentionTile& tile, int64_t slot) {
    const int64_t panel_bytes = kPanelColumns * CacheSlotBytes(args.format, args.key_size);
    const int64_t left = PanelCount(tile.end - slot);
    constexpr int64_t kMost = kDecodeBlockSlots / kPanelColumns;
    const int64_t panels = left < kMost ? left : kMost;
    int64_t places = KeyPlaces<Cache>(RowsOfGroup(tile.rows, kKeyRows));
    while (places > panels) places /= 2;
    FetchStart(tile.keys + slot / kPanelColumns * panel_bytes, places,
               panels / places * panel_bytes);
  }
  static void FetchValues(const AttentionArgs& args, const AttentionTile& tile,
                          const SlotBlock& block) {
    if constexpr (Cache::kHasScales) return;  // lie apart from the numbers, and reading takes less
    const int64_t slot_bytes = CacheSlotBytes(args.format, args.value_size);
    const int64_t places = ValuePlaces(block.count);
    FetchStart(tile.values + block.begin * slot_bytes, places, block.count / places * slot_bytes);
  }
  /// What a unit begins with.
  static void FetchUnit(const AttentionArgs& args, const AttentionTile& tile) {
    if (tile.begin < tile.end) FetchKeys(args, tile, tile.begin / kPanelColumns * kPanelColumns);
  }
  static void Keys(const AttentionArgs& args, const AttentionTile& tile, const SlotBlock& block,
                   const AttentionScratch& scratch) {
    const int64_t group = RowsOfGroup(tile.rows, kKeyRows);
    const auto score = [&]<int kPlaces>() {
      ScoreKeys<Cache, kPlaces>(
          args, tile.rows, group, scratch.queries,
          tile.keys + block.begin * CacheSlotBytes(args.format, args.key_size),
          PanelCount(block.count), scratch.scores);
    };
    switch (KeyPlaces<Cache>(group)) {
      case 4:
        return score.template operator()<4>();
      case 2:
        return score.template operator()<2>();
      default:
        return score.template operator()<1>();
    }
  }
  static void Values(const AttentionArgs& args, const AttentionTile& tile, const SlotBlock& block,
                     const AttentionScratch& scratch) {
    const int64_t group = RowsOfGroup(tile.rows, kValueRows);
    for (int64_t c = 0; c < scratch.sum_stride; c += Cache::kValueWidth) {
      CacheScratch scales;
      const auto values = Cache::Values(tile.values, args, block.begin, block.count, c, scales);
      const int64_t left = scratch.sum_stride - c;
      const int64_t width = left < Cache::kValueWidth ? left : Cache::kValueWidth;
      for (int64_t r = 0; r < tile.rows; r += group) {
        const int64_t some = tile.rows - r < group ? tile.rows - r : group;
        const float* weights = scratch.scores + r * kDecodeBlockSlots;
        float* sums = scratch.sums + r * scratch.sum_stride + c;
        if (r == 0) {
          AddRows<kValueRows, true>(some, weights, values, width, block.count, sums,
                                    scratch.sum_stride);
        } else {
          AddRows<kValueRows, false>(some, weights, values, width, block.count, sums,
                                     scratch.sum_stride);
        }
      }
    }
  }
};

}  // namespace
}  // namespace qeff::cpu
