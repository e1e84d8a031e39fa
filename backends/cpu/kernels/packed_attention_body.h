// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Attention of one text to itself, f32. A text is short: its keys are packed once, all scores of 12
// queries stay in the first cache levels, and the softmax needs no streaming. Both products run in
// the register tile of Linear.
#pragma once

#include "backends/cpu/kernels/kernels.h"
#include "backends/cpu/kernels/tile_f32.h"

namespace qeff::cpu {
namespace {

struct PackedAttentionScratch {
  float* keys;     ///< panels of 32 rows, each [E][32]
  float* queries;  ///< [E][rows]
  float* scores;   ///< [rows][columns]
  float* sums;     ///< [rows][sum_stride]
  int64_t columns;
  int64_t sum_stride;
};

inline PackedAttentionScratch DivideScratch(const PackedAttentionArgs& args) {
  PackedAttentionScratch scratch;
  scratch.columns = PanelCount(args.row_end - args.row_begin) * kPanelColumns;
  scratch.sum_stride = PanelCount(args.value_size) * kPanelColumns;
  scratch.keys = args.scratch;
  scratch.queries = scratch.keys + scratch.columns * args.key_size;
  scratch.scores = scratch.queries + kTileRows * args.key_size;
  scratch.sums = scratch.scores + kTileRows * scratch.columns;
  return scratch;
}

inline void PackKeys(const PackedAttentionArgs& args, const PackedAttentionScratch& scratch) {
  const int64_t rows = args.row_end - args.row_begin;
  for (int64_t first = 0; first < rows; first += kPanelColumns) {
    float* panel = scratch.keys + first * args.key_size;
    const int64_t count = rows - first < kPanelColumns ? rows - first : kPanelColumns;
    for (int64_t c = 0; c < kPanelColumns; ++c) {
      const float* k = args.k + (args.row_begin + first + c) * args.k_stride;
      for (int64_t e = 0; e < args.key_size; ++e) {
        panel[e * kPanelColumns + c] = c < count ? k[e] : 0.0f;
      }
    }
  }
}

/// The first and the end of the rows that row `n` sees, counted from row_begin. Tokens rise with
/// the rows.
struct SeenRows {
  int64_t begin;
  int64_t end;
};
inline SeenRows RowsSeenBy(const PackedAttentionArgs& args, int64_t n, SeenRows before) {
  const int64_t rows = args.row_end - args.row_begin;
  if (args.is_causal) {
    const int64_t first = args.window == 0 ? 0 : n - args.window + 1;
    return {first > args.query_rows ? first : args.query_rows, n + 1};
  }
  if (args.window == 0) return {args.query_rows, rows};
  const int64_t* tokens = args.tokens + args.row_begin;
  SeenRows seen = {before.begin > args.query_rows ? before.begin : args.query_rows, before.end};
  while (tokens[seen.begin] <= tokens[n] - args.window) ++seen.begin;
  while (seen.end < rows && tokens[seen.end] < tokens[n] + args.window) ++seen.end;
  return seen;
}

inline void AddBias(const PackedAttentionArgs& args, int64_t n, SeenRows seen, float* scores) {
  const int64_t* tokens = args.tokens + args.row_begin;
  const float* bias = args.bias + (tokens[n] - args.first_token) * args.bias_stride;
  const int64_t first = tokens[seen.begin] - args.first_token;
  if (tokens[seen.end - 1] - args.first_token - first == seen.end - 1 - seen.begin) {
    for (int64_t j = seen.begin; j < seen.end; ++j) scores[j] += bias[first + j - seen.begin];
    return;
  }
  for (int64_t j = seen.begin; j < seen.end; ++j) scores[j] += bias[tokens[j] - args.first_token];
}

/// What remains to be done to the scores of row `n`, which lie in the columns [begin, end) of
/// `scores`: softcap, bias, and -infinity where it does not see, so that the loops after ask
/// nothing.
inline void FinishScores(const PackedAttentionArgs& args, int64_t n, SeenRows seen,
                         SeenRows columns, float* scores) {
  if (args.softcap > 0) {
    for (int64_t j = columns.begin; j < columns.end; j += kLanes) {
      const Vec value = Load(scores + j) * (-2.0f / args.softcap);
      Store(scores + j, args.softcap * (2.0f / (1.0f + Exp(value)) - 1.0f));
    }
  }
  if (args.bias != nullptr) AddBias(args, n, seen, scores);
  for (int64_t j = columns.begin; j < seen.begin; ++j) scores[j] = -__builtin_inff();
  for (int64_t j = seen.end; j < columns.end; ++j) scores[j] = -__builtin_inff();
}

/// Turns scores into e^(score - max); returns their sum.
inline float ExpRow(int64_t columns, float* scores) {
  Vec largest = Broadcast(-__builtin_inff());
  for (int64_t j = 0; j < columns; j += kLanes) largest = Max(Load(scores + j), largest);
  const Vec max = Broadcast(MaxLane(largest));
  Vec sum{};
  for (int64_t j = 0; j < columns; j += kLanes) {
    const Vec weight = Exp(Load(scores + j) - max);
    Store(scores + j, weight);
    sum += weight;
  }
  return SumLanes(sum);
}

inline void RunPackedAttention(const PackedAttentionArgs& args) {
  const PackedAttentionScratch scratch = DivideScratch(args);
  const int64_t rows = args.row_end - args.row_begin;
  PackKeys(args, scratch);
  SeenRows seen = {0, 0};
  for (int64_t first = 0; first < rows; first += kTileRows) {
    const int64_t count = rows - first < kTileRows ? rows - first : kTileRows;
    const TileF32Function product = TileF32For(count);
    for (int64_t r = 0; r < count; ++r) {
      const float* q = args.q + (args.row_begin + first + r) * args.q_stride;
      for (int64_t e = 0; e < args.key_size; ++e) {
        scratch.queries[e * count + r] = q[e] * args.scale;
      }
    }
    SeenRows of_row[kTileRows];
    for (int64_t r = 0; r < count; ++r) of_row[r] = seen = RowsSeenBy(args, first + r, seen);
    // What any row of the tile sees, in whole panels.
    const int64_t begin = of_row[0].begin / kPanelColumns * kPanelColumns;
    const int64_t end = PanelCount(seen.end) * kPanelColumns;
    for (int64_t c = begin; c < end; c += kPanelColumns) {
      product(scratch.queries, count, scratch.keys + c * args.key_size, kPanelColumns,
              args.key_size, scratch.scores + c, scratch.columns, false);
    }
    float factor[kTileRows];
    for (int64_t r = 0; r < count; ++r) {
      float* scores = scratch.scores + r * scratch.columns;
      FinishScores(args, first + r, of_row[r], {begin, end}, scores);
      factor[r] = 1.0f / ExpRow(end - begin, scores + begin);
    }
    const RowsTileF32Function<float> weighted = RowsTileF32For<float>(count);
    const int64_t keys = seen.end - begin;
    const float* values = args.v + (args.row_begin + begin) * args.v_stride;
    for (int64_t c = 0; c < scratch.sum_stride; c += kPanelColumns) {
      weighted(scratch.scores + begin, scratch.columns, values + c, args.v_stride, keys,
               scratch.sums + c, scratch.sum_stride, false);
    }
    for (int64_t r = 0; r < count; ++r) {
      float* out = args.out + (args.row_begin + first + r) * args.out_stride;
      const float* sums = scratch.sums + r * scratch.sum_stride;
      for (int64_t e = 0; e < args.value_size; ++e) out[e] = sums[e] * factor[r];
    }
  }
}

}  // namespace
}  // namespace qeff::cpu
