// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Attention over a cache, f32. The query rows that share a kv head (tokens times heads of the
// group) form tiles of up to 12 rows, so that both products run in the register tile of Linear; the
// softmax streams over blocks of 256 slots, each for up to four tiles. A cache of narrower elements
// is converted where the tile loads it. Where one tile has all rows, reading the cache takes
// longest (attention_decode_body.h).
#pragma once

#include <type_traits>

#include "backends/cpu/kernels/attention_decode_body.h"
#include "backends/cpu/kernels/cache_columns.h"
#include "backends/cpu/kernels/kernels.h"
#include "backends/cpu/kernels/tile_f32.h"

namespace qeff::cpu {
namespace {

QEFF_INLINE Vec CapScores(Vec value, float softcap) {
  return softcap * (2.0f / (1.0f + Exp(-2.0f * (value / softcap))) - 1.0f);
}

/// To nearest, ties to even. Requires finite values.
QEFF_INLINE Vec RoundToBf16(Vec value) {
  const auto bits = reinterpret_cast<VecU>(value);
  return reinterpret_cast<Vec>((bits + 0x7FFFu + ((bits >> 16) & 1u)) & 0xFFFF0000u);
}

/// Adds the bias of one head to the capped scores of slots begin, begin + 1, ...
inline void AddAlibi(const AttentionArgs& args, float slope, int64_t begin, int64_t count,
                     float* scores) {
  for (int64_t j = 0; j < count; j += kLanes) {
    const VecI slot = LaneIndex() + static_cast<int32_t>(begin + j);
    Vec position = __builtin_convertvector(slot, Vec);
    if (args.alibi_in_bf16) position = RoundToBf16(position);
    Vec bias = position * slope;
    if (args.alibi_in_bf16) bias = RoundToBf16(bias);
    Vec value = Load(scores + j);
    if (args.softcap > 0) value = CapScores(value, args.softcap);
    Store(scores + j, value + bias * args.alibi_scale);
  }
}

/// Turns the scores of one row, slots [low, high) of a block, into e^(score - max), zeros
/// elsewhere; returns their sum. `max` is the row's maximum so far and is updated.
inline float ExpScores(const AttentionArgs& args, float* scores, int64_t count, int64_t low,
                       int64_t high, float* max) {
  const Vec lowest = Broadcast(-__builtin_inff());
  const bool is_capped = args.softcap > 0 && args.alibi_slopes == nullptr;
  const bool sees_all = low == 0 && high == count && !is_capped;
  Vec largest = Broadcast(*max);
  for (int64_t j = 0; sees_all && j < count; j += kLanes) {
    largest = Max(Load(scores + j), largest);
  }
  for (int64_t j = 0; !sees_all && j < count; j += kLanes) {
    Vec value = Load(scores + j);
    if (is_capped) value = CapScores(value, args.softcap);
    const VecI slot = LaneIndex() + static_cast<int32_t>(j);
    const VecI seen = (slot >= static_cast<int32_t>(low)) & (slot < static_cast<int32_t>(high));
    value = seen ? value : lowest;
    Store(scores + j, value);
    largest = Max(value, largest);
  }
  *max = MaxLane(largest);
  Vec sum{};
  for (int64_t j = 0; j < count; j += kLanes) {
    const Vec value = Load(scores + j);
    const Vec weight = value == lowest ? Vec{} : Exp(value - *max);
    Store(scores + j, weight);
    sum += weight;
  }
  return SumLanes(sum);
}

/// The products of a block for many rows. Keys sets scores, Values adds weights times values to
/// sums. FetchKeys and FetchValues ask for the first of those from a slot on.
template <typename Cache>
struct TileProducts {
  static constexpr int64_t kBlockSlots = kAttentionBlockSlots;
  static void FetchKeys(const AttentionArgs&, const AttentionTile&, int64_t) {}
  static void FetchValues(const AttentionArgs&, const AttentionTile&, const SlotBlock&) {}
  static void Keys(const AttentionArgs& args, const AttentionTile& tile, const SlotBlock& block,
                   const AttentionScratch& scratch) {
    const int64_t slot_bytes = CacheSlotBytes(args.format, args.key_size);
    for (int64_t c = 0; c < block.count; c += kPanelColumns) {
      const std::byte* panel = tile.keys + (block.begin + c) * slot_bytes;
      if constexpr (std::is_same_v<Cache, PlainCache<float>>) {
        TileF32For<kTileAhead>(tile.rows)(
            scratch.queries, kTileRows, reinterpret_cast<const float*>(panel), kPanelColumns,
            args.key_size, scratch.scores + c, kAttentionBlockSlots, false);
      } else {
        for (int64_t e = 0; e < args.key_size; e += Cache::kKeyDepth) {
          auto columns = Cache::Keys(panel, args.key_size, e);
          TileColumnsFor<decltype(columns)>(tile.rows)(
              scratch.queries + e * kTileRows, kTileRows, columns,
              KeyDepth<Cache>(args.key_size, e), scratch.scores + c, kAttentionBlockSlots, e > 0);
        }
      }
    }
  }
  static void Values(const AttentionArgs& args, const AttentionTile& tile, const SlotBlock& block,
                     const AttentionScratch& scratch) {
    if constexpr (std::is_same_v<Cache, PlainCache<float>>) {
      const auto* values = reinterpret_cast<const float*>(tile.values);
      for (int64_t c = 0; c < scratch.sum_stride; c += kPanelColumns) {
        RowsTileF32For<float, kTileAhead>(tile.rows)(
            scratch.scores, kAttentionBlockSlots, values + block.begin * args.value_size + c,
            args.value_size, block.count, scratch.sums + c, scratch.sum_stride, true);
      }
    } else {
      for (int64_t r = 0; r < tile.rows; ++r) {
        const float* scores = scratch.scores + r * kAttentionBlockSlots;
        for (int64_t j = 0; j < block.count; ++j) scratch.weights[j * tile.rows + r] = scores[j];
      }
      for (int64_t c = 0; c < scratch.sum_stride; c += kPanelColumns) {
        CacheScratch scales;
        auto columns = Cache::Values(tile.values, args, block.begin, block.count, c, scales);
        TileColumnsFor<decltype(columns)>(tile.rows)(scratch.weights, tile.rows, columns,
                                                     block.count, scratch.sums + c,
                                                     scratch.sum_stride, true);
      }
    }
  }
};

template <typename Cache, typename Products>
inline void AddBlock(const AttentionArgs& args, const AttentionTile& tile, const SlotBlock& block,
                     AttentionScratch& scratch) {
  const int64_t begin = block.begin;
  const int64_t count = block.count;
  const int64_t padded = PanelCount(count) * kPanelColumns;
  Products::Keys(args, tile, block, scratch);
  Products::FetchValues(args, tile, block);
  for (int64_t r = 0; r < tile.rows; ++r) {
    const int64_t position = tile.position[r];
    const int64_t oldest = position < 0 ? 0 : OldestSeen(args, position);
    const int64_t low = oldest > begin ? oldest - begin : 0;
    const int64_t high = position + 1 - begin < count ? position + 1 - begin : count;
    float* scores = scratch.scores + r * Products::kBlockSlots;
    if (low >= high) {
      for (int64_t j = 0; j < count; ++j) scores[j] = 0;
      continue;
    }
    if (args.alibi_slopes != nullptr)
      AddAlibi(args, args.alibi_slopes[PlaceOfRow(args, tile, r).head], begin, padded, scores);
    const float old_max = scratch.max[r];
    const float sum = ExpScores(args, scores, padded, low, high, &scratch.max[r]);
    if (scratch.total[r] != 0) {
      const float factor = __builtin_expf(old_max - scratch.max[r]);
      scratch.total[r] *= factor;
      float* sums = scratch.sums + r * scratch.sum_stride;
      for (int64_t c = 0; c < scratch.sum_stride; ++c) sums[c] *= factor;
    }
    scratch.total[r] += sum;
  }
  Products::Values(args, tile, block, scratch);
  if (begin + count < tile.end) Products::FetchKeys(args, tile, begin + count);
}

/// What the sum of e^(score - max) * v is multiplied by.
inline float RowFactor(const AttentionArgs& args, int64_t head, float max, float total) {
  if (total == 0) return 0;
  if (args.sinks == nullptr) return 1.0f / total;
  const float sink = args.sinks[head];
  if (sink <= max) return 1.0f / (total + __builtin_expf(sink - max));
  const float shrunk = __builtin_expf(max - sink);
  return shrunk / (total * shrunk + 1.0f);
}

constexpr int64_t kMostTiles = kF32AttentionRows / kTileRows;

/// Tiles of one kv head, and what each needs; they use the same scores and weights.
struct TileGroup {
  AttentionTile tiles[kMostTiles];
  AttentionScratch scratch[kMostTiles];
  int64_t count = 0;

  explicit TileGroup(const AttentionArgs& args) {
    const int64_t sum_stride = PanelCount(args.value_size) * kPanelColumns;
    float* scores = args.scratch;
    float* weights = scores + kTileRows * kAttentionBlockSlots;
    float* next = scores + kTileRows * kDecodeBlockSlots;
    for (AttentionScratch& of_tile : scratch) {
      of_tile.scores = scores;
      of_tile.weights = weights;
      of_tile.sums = next;
      of_tile.queries = next + kTileRows * sum_stride;
      of_tile.sum_stride = sum_stride;
      next = of_tile.queries + kTileRows * args.key_size;
    }
  }
};

inline void StartSums(const AttentionTile& tile, AttentionScratch& scratch) {
  for (int64_t i = 0; i < tile.rows * scratch.sum_stride; ++i) scratch.sums[i] = 0;
  for (int64_t r = 0; r < tile.rows; ++r) {
    scratch.max[r] = -__builtin_inff();
    scratch.total[r] = 0;
  }
}

/// The slots that a tile sees, from the panel of keys on that the first lies in.
inline int64_t FirstSlot(const AttentionTile& tile) {
  return tile.begin - tile.begin % kPanelColumns;
}

/// Block after block, each with all tiles.
template <typename Cache>
inline void RunGroup(const AttentionArgs& args, TileGroup& group) {
  int64_t begin = args.slots;
  int64_t end = 0;
  for (int64_t t = 0; t < group.count; ++t) {
    const AttentionTile& tile = group.tiles[t];
    PackQueries(args, tile, 1, kTileRows, group.scratch[t].queries);
    StartSums(tile, group.scratch[t]);
    if (tile.begin >= tile.end) continue;
    if (tile.begin < begin) begin = tile.begin;
    if (tile.end > end) end = tile.end;
  }
  begin -= begin % kPanelColumns;
  for (int64_t slot = begin; slot < end; slot += kAttentionBlockSlots) {
    for (int64_t t = 0; t < group.count; ++t) {
      const AttentionTile& tile = group.tiles[t];
      if (tile.end <= slot || tile.begin >= slot + kAttentionBlockSlots) continue;
      const int64_t left = tile.end - slot;
      const int64_t count = left < kAttentionBlockSlots ? left : kAttentionBlockSlots;
      AddBlock<Cache, TileProducts<Cache>>(args, tile, {slot, count}, group.scratch[t]);
    }
  }
}

inline void WriteTile(const AttentionArgs& args, const AttentionTile& tile,
                      const AttentionScratch& scratch) {
  for (int64_t r = 0; r < tile.rows; ++r) {
    const RowPlace place = PlaceOfRow(args, tile, r);
    float* out = args.out + place.row * args.out_stride + place.head * args.value_size;
    const float* sums = scratch.sums + r * scratch.sum_stride;
    const float factor = RowFactor(args, place.head, scratch.max[r], scratch.total[r]);
    for (int64_t e = 0; e < args.value_size; ++e) out[e] = sums[e] * factor;
  }
}

/// The tile of a unit of few rows: all its slots, or one run of them; units are in the order of
/// slots.
inline AttentionTile MakeDecodeTile(const AttentionArgs& args, int64_t unit) {
  if (args.split_slots == 0) return MakeTile(args, unit, kTileRows, 0);
  const int64_t tiles = args.batch * args.kv_heads;
  const int64_t begin = unit / tiles * args.split_slots;
  const int64_t end = begin + args.split_slots;
  AttentionTile tile = MakeTile(args, unit % tiles, kTileRows, 0);
  if (tile.begin < begin) tile.begin = begin;
  if (tile.end > end) tile.end = end;
  return tile;
}

inline void WritePartial(const AttentionArgs& args, const AttentionTile& tile, int64_t unit,
                         const AttentionScratch& scratch) {
  const int64_t splits = AttentionSplits(args.slots, args.split_slots);
  const int64_t tiles = args.batch * args.kv_heads;
  const int64_t place = unit % tiles * splits + unit / tiles;
  for (int64_t r = 0; r < tile.rows; ++r) {
    float* partial = args.partial + (place * kTileRows + r) * (args.value_size + 2);
    const float* sums = scratch.sums + r * scratch.sum_stride;
    partial[0] = scratch.max[r];
    partial[1] = scratch.total[r];
    for (int64_t e = 0; e < args.value_size; ++e) partial[2 + e] = sums[e];
  }
}

/// Units of one tile each. The next begins to come from memory while one is finished.
template <typename Cache>
inline void RunDecodeUnits(const AttentionArgs& args, AttentionScratch& scratch) {
  using Products = DecodeProducts<Cache>;
  for (int64_t unit = args.unit_begin; unit < args.unit_end; ++unit) {
    const AttentionTile tile = MakeDecodeTile(args, unit);
    if (unit == args.unit_begin) Products::FetchUnit(args, tile);
    PackQueries(args, tile, args.key_size, 1, scratch.queries);
    StartSums(tile, scratch);
    for (int64_t slot = FirstSlot(tile); slot < tile.end; slot += kDecodeBlockSlots) {
      const int64_t left = tile.end - slot;
      const int64_t count = left < kDecodeBlockSlots ? left : kDecodeBlockSlots;
      AddBlock<Cache, Products>(args, tile, {slot, count}, scratch);
    }
    if (unit + 1 < args.unit_end) Products::FetchUnit(args, MakeDecodeTile(args, unit + 1));
    if (args.split_slots > 0) {
      WritePartial(args, tile, unit, scratch);
    } else {
      WriteTile(args, tile, scratch);
    }
  }
}

template <typename Cache>
inline void RunUnits(const AttentionArgs& args, int64_t unit_rows) {
  TileGroup group(args);
  if (args.tokens * (args.heads / args.kv_heads) <= kTileRows) {
    return RunDecodeUnits<Cache>(args, group.scratch[0]);
  }
  for (int64_t unit = args.unit_begin; unit < args.unit_end; ++unit) {
    for (int64_t skipped = 0; skipped < unit_rows;) {
      for (group.count = 0; group.count < kMostTiles && skipped < unit_rows; ++group.count) {
        AttentionTile& tile = group.tiles[group.count];
        tile = MakeTile(args, unit, unit_rows, skipped);
        if (tile.rows <= 0) break;
        skipped += kTileRows;
      }
      if (group.count == 0) break;
      RunGroup<Cache>(args, group);
      for (int64_t t = 0; t < group.count; ++t) WriteTile(args, group.tiles[t], group.scratch[t]);
    }
  }
}

/// Units of `unit_rows` rows.
inline void RunAttention(const AttentionArgs& args, int64_t unit_rows) {
  switch (args.format) {
    case CacheFormat::kF32:
      return RunUnits<PlainCache<float>>(args, unit_rows);
    case CacheFormat::kBf16:
      return RunUnits<PlainCache<Bf16Element>>(args, unit_rows);
    case CacheFormat::kF16:
      return RunUnits<PlainCache<F16Element>>(args, unit_rows);
    case CacheFormat::kMxint8:
      return RunUnits<Mxint8Cache>(args, unit_rows);
  }
}

}  // namespace
}  // namespace qeff::cpu
