// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What attention over a cache works on at a time: the query rows that share a kv head (tokens times
// heads of the group), up to 12 of them, and a block of slots.
#pragma once

#include "backends/cpu/kernels/kernels.h"

namespace qeff::cpu {
namespace {

/// What is worked on at a time.
struct AttentionTile {
  int64_t batch;
  int64_t kv_head;
  int64_t cache_row;
  int64_t first_row;  ///< of the T * H / K rows that share the kv head
  int64_t rows;
  const std::byte* keys;    ///< of the kv head
  const std::byte* values;  ///< of the kv head
  int64_t position[kTileRows];
  int64_t begin;  ///< slots that any row sees: [begin, end)
  int64_t end;
};

/// The first slot that a query at `position` >= 0 sees.
inline int64_t OldestSeen(const AttentionArgs& args, int64_t position) {
  int64_t oldest = args.window > 0 && position >= args.window ? position - args.window + 1 : 0;
  if (args.chunk > 0) {
    const int64_t first_of_chunk = position - position % args.chunk;
    if (first_of_chunk > oldest) oldest = first_of_chunk;
  }
  return oldest;
}

/// The tile that begins `skipped` rows after the first row of a unit of `unit_rows`; without rows
/// if the unit ends before.
inline AttentionTile MakeTile(const AttentionArgs& args, int64_t unit, int64_t unit_rows,
                              int64_t skipped) {
  const int64_t group = args.heads / args.kv_heads;
  const int64_t tiles = AttentionTiles(args.tokens, args.heads, args.kv_heads, unit_rows);
  AttentionTile tile;
  tile.batch = unit / (args.kv_heads * tiles);
  tile.kv_head = unit / tiles % args.kv_heads;
  tile.cache_row = args.cache_rows == nullptr ? tile.batch : args.cache_rows[tile.batch];
  tile.first_row = unit % tiles * unit_rows + skipped;
  const int64_t left_of_rows = args.tokens * group - tile.first_row;
  const int64_t left_of_unit = unit_rows - skipped;
  const int64_t left = left_of_rows < left_of_unit ? left_of_rows : left_of_unit;
  tile.rows = left < kTileRows ? left : kTileRows;
  const int64_t cache = tile.cache_row * args.kv_heads + tile.kv_head;
  tile.keys = args.keys + cache * args.key_capacity * CacheSlotBytes(args.format, args.key_size);
  tile.values =
      args.values + cache * args.value_capacity * CacheSlotBytes(args.format, args.value_size);
  tile.begin = args.slots;
  tile.end = 0;
  for (int64_t r = 0; r < tile.rows; ++r) {
    const int64_t token = (tile.first_row + r) / group;
    int64_t position = args.positions[tile.batch * args.tokens + token];
    if (position >= args.slots) position = args.slots - 1;
    tile.position[r] = position;
    if (position < 0) continue;
    const int64_t oldest = OldestSeen(args, position);
    if (oldest < tile.begin) tile.begin = oldest;
    if (position + 1 > tile.end) tile.end = position + 1;
  }
  return tile;
}

/// Row r of a tile belongs to this row of q and out, and this head.
struct RowPlace {
  int64_t row;
  int64_t head;
};
inline RowPlace PlaceOfRow(const AttentionArgs& args, const AttentionTile& tile, int64_t r) {
  const int64_t group = args.heads / args.kv_heads;
  const int64_t index = tile.first_row + r;
  return {tile.batch * args.tokens + index / group, tile.kv_head * group + index % group};
}

/// Queries times scale: row r, channel e at r * row_stride + e * channel_stride.
inline void PackQueries(const AttentionArgs& args, const AttentionTile& tile, int64_t row_stride,
                        int64_t channel_stride, float* packed) {
  for (int64_t r = 0; r < tile.rows; ++r) {
    const RowPlace place = PlaceOfRow(args, tile, r);
    const float* q = args.q + place.row * args.q_stride + place.head * args.key_size;
    for (int64_t e = 0; e < args.key_size; ++e) {
      packed[r * row_stride + e * channel_stride] = q[e] * args.scale;
    }
  }
}

struct AttentionScratch {
  float* queries;  ///< [E][12]; [rows][E] for DecodeProducts
  float* scores;   ///< [rows][block of slots], which become weights
  float* weights;  ///< [256][rows]; DecodeProducts has longer rows of scores instead
  float* sums;     ///< [rows][sum_stride]
  int64_t sum_stride;
  float max[kTileRows];
  float total[kTileRows];
};

/// A block of slots of a tile, up to kBlockSlots of the products.
struct SlotBlock {
  int64_t begin;
  int64_t count;
};

}  // namespace
}  // namespace qeff::cpu
