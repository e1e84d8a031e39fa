// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Linear with bf16 weights and bf16 rows by matrix tiles (tdpbf16ps): a tile of 16 rows times 32 k
// meets a tile of 32 k times 16 columns, which is how the panels of weights lie anyway. The sums of
// 32 rows by 32 columns take four of the eight tile registers, so each tile that is loaded is used
// twice. Groups of panels that fit the second-level cache are the outermost loop, row tiles the
// next: the rows stream through that cache once for a group. Sums of even and odd k of a pair are
// added in f32, denormals count as zero.
#pragma once

#include <immintrin.h>

#include "backends/cpu/kernels/linear_body.h"

namespace qeff::cpu {
namespace {

constexpr int64_t kAmxRows = 16;   ///< of a tile
constexpr int64_t kAmxDepth = 32;  ///< k of a tile
/// Bytes of weights that are used again for all row tiles: half of a second-level cache of 1 MiB,
/// the smallest beside which there are matrix tiles.
constexpr int64_t kAmxGroupBytes = 512 * 1024;

/// What ldtilecfg reads.
struct alignas(64) TileConfiguration {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};

/// Tiles 0..3: sums of rows {first, second} by columns {0..15, 16..31}; 4, 5: rows; 6, 7: weights.
QEFF_INLINE void ConfigureTiles(int64_t first_rows, int64_t second_rows) {
  const auto first = static_cast<uint8_t>(first_rows);
  const auto second = static_cast<uint8_t>(second_rows);
  TileConfiguration configuration;
  const uint8_t rows[8] = {first, first, second, second, first, second, kAmxRows, kAmxRows};
  for (int i = 0; i < 8; ++i) {
    configuration.rows[i] = rows[i];
    configuration.row_bytes[i] = 64;
  }
  _tile_loadconfig(&configuration);
}

/// One or two tiles of packed rows.
struct AmxRows {
  const uint16_t* first;
  const uint16_t* second;
  int64_t first_step;  ///< elements from one block of 32 k to the next
  int64_t second_step;
};

QEFF_INLINE void MultiplyPair(const uint16_t* first, const uint16_t* second, const uint16_t* w) {
  _tile_loadd(6, w, 128);
  _tile_loadd(4, first, 64);
  _tile_dpbf16ps(0, 4, 6);
  _tile_loadd(7, w + 32, 128);
  _tile_dpbf16ps(1, 4, 7);
  _tile_loadd(5, second, 64);
  _tile_dpbf16ps(2, 5, 6);
  _tile_dpbf16ps(3, 5, 7);
}

QEFF_INLINE void MultiplySingle(const uint16_t* first, const uint16_t* w) {
  _tile_loadd(4, first, 64);
  _tile_loadd(6, w, 128);
  _tile_loadd(7, w + 32, 128);
  _tile_dpbf16ps(0, 4, 6);
  _tile_dpbf16ps(1, 4, 7);
}

/// The last block of a depth that is no multiple of 32, filled up with zeros: what follows a panel
/// may be anything, and 0 * infinity is not 0.
struct AmxTail {
  alignas(64) uint16_t weights[kAmxDepth * kPanelColumns];
};
QEFF_INLINE const uint16_t* FillTail(const uint16_t* panel, int64_t depth, AmxTail& tail) {
  const int64_t done = depth / kAmxDepth * kAmxDepth;
  const int64_t count = (RoundUpToEven(depth) - done) * kPanelColumns;
  for (int64_t i = 0; i < count; ++i) tail.weights[i] = panel[done * kPanelColumns + i];
  for (int64_t i = count; i < kAmxDepth * kPanelColumns; ++i) tail.weights[i] = 0;
  return tail.weights;
}

/// sums [32][32] of up to 32 rows and one panel.
inline void MultiplyPanel(AmxRows rows, bool is_pair, const uint16_t* panel, int64_t depth,
                          float* sums) {
  constexpr int64_t kBlock = kAmxDepth * kPanelColumns;
  constexpr int64_t kStride = kPanelColumns * 4;
  const int64_t blocks = depth / kAmxDepth;
  AmxTail tail;
  _tile_zero(0);
  _tile_zero(1);
  if (is_pair) {
    _tile_zero(2);
    _tile_zero(3);
    for (int64_t block = 0; block < blocks; ++block) {
      MultiplyPair(rows.first, rows.second, panel + block * kBlock);
      rows.first += rows.first_step;
      rows.second += rows.second_step;
    }
    if (depth % kAmxDepth != 0) MultiplyPair(rows.first, rows.second, FillTail(panel, depth, tail));
    _tile_stored(2, sums + kAmxRows * kPanelColumns, kStride);
    _tile_stored(3, sums + kAmxRows * kPanelColumns + 16, kStride);
  } else {
    for (int64_t block = 0; block < blocks; ++block) {
      MultiplySingle(rows.first, panel + block * kBlock);
      rows.first += rows.first_step;
    }
    if (depth % kAmxDepth != 0) MultiplySingle(rows.first, FillTail(panel, depth, tail));
  }
  _tile_stored(0, sums, kStride);
  _tile_stored(1, sums + 16, kStride);
}

/// Rows [row, row + count) by the panels [begin, end).
inline void MultiplyRows(const LinearArgs& args, int64_t row, int64_t count, int64_t begin,
                         int64_t end) {
  const auto* x = static_cast<const uint16_t*>(args.x);
  const auto* weights = static_cast<const uint16_t*>(args.weights);
  const int64_t row_depth = Bf16RowDepth(args.depth);
  const bool is_pair = count > kAmxRows;
  const AmxRows rows = {.first = x + row * row_depth,
                        .second = x + (row + kAmxRows) * row_depth,
                        .first_step = (is_pair ? kAmxRows : count) * kAmxDepth,
                        .second_step = (count - kAmxRows) * kAmxDepth};
  for (int64_t panel = begin; panel < end; ++panel) {
    const bool is_up = args.epilogue == LinearEpilogue::kGated && (panel & 1) == 1;
    float* sums = args.scratch + (is_up ? count * kPanelColumns : 0);
    MultiplyPanel(rows, is_pair, weights + panel * RoundUpToEven(args.depth) * kPanelColumns,
                  args.depth, sums);
    FinishTile(args, panel, row, count, sums, args.scratch);
  }
}

inline void RunLinearAmx(const LinearArgs& args) {
  constexpr int64_t kPairRows = 2 * kAmxRows;
  const int64_t panel_bytes = (args.depth < 1 ? 1 : args.depth) * kPanelColumns * 2;
  const int64_t group = kAmxGroupBytes / panel_bytes < 2 ? 2 : kAmxGroupBytes / panel_bytes / 2 * 2;
  const int64_t pair_rows = args.rows / kPairRows * kPairRows;
  const int64_t rest = args.rows - pair_rows;
  for (int64_t begin = args.panel_begin; begin < args.panel_end; begin += group) {
    const int64_t end = args.panel_end - begin < group ? args.panel_end : begin + group;
    if (pair_rows > 0) ConfigureTiles(kAmxRows, kAmxRows);
    for (int64_t row = 0; row < pair_rows; row += kPairRows) {
      MultiplyRows(args, row, kPairRows, begin, end);
    }
    if (rest == 0) continue;
    ConfigureTiles(rest < kAmxRows ? rest : kAmxRows, rest > kAmxRows ? rest - kAmxRows : 1);
    MultiplyRows(args, pair_rows, rest, begin, end);
  }
  _tile_release();
}

}  // namespace
}  // namespace qeff::cpu
