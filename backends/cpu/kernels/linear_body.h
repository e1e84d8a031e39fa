// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The loops around the register tile of a Linear: blocks of rows and k that fit the second-level
// cache meet a few panels of 32 columns; a panel's block stays in the first level while row tiles
// stream past it and the next panel's block is fetched. The sums of the panels stay in scratch
// between blocks of k and get the epilogue right after the last one.
#pragma once

#if defined(__AMX_BF16__)
#include <immintrin.h>
#endif

#include "backends/cpu/kernels/kernels.h"
#include "backends/cpu/kernels/tile_fetch.h"
#include "backends/cpu/kernels/vector.h"

namespace qeff::cpu {
namespace {

/// Adds the bias of `panel` to `rows` rows of 32 sums.
inline void AddPanelBias(const LinearArgs& args, int64_t panel, int64_t rows, float* sums) {
  if (args.bias == nullptr) return;
  const float* bias = args.bias + panel * kPanelColumns;
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < kPanelColumns; ++c) sums[r * kPanelColumns + c] += bias[c];
  }
}

#if defined(__AMX_BF16__)
/// 32 columns of a finished row from `column` on, a multiple of 32, rounded and packed as by
/// StorePacked.
QEFF_INLINE void StorePackedRow(const LinearArgs& args, int64_t row, int64_t column, __m512 low,
                                __m512 high) {
  constexpr int64_t kTile = 16;
  const int64_t tile = row & -kTile;
  const int64_t height = args.rows - tile < kTile ? args.rows - tile : kTile;
  auto* to = reinterpret_cast<uint16_t*>(args.out) + tile * Bf16RowDepth(args.columns) +
             column * height + (row - tile) * kPanelColumns;
  _mm512_storeu_si512(to, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low)));
}
#endif

/// `count` columns from `column` on, a multiple of 32, of finished rows, rounded and packed for the
/// product that reads them. The order is that of the set's pack_rows_bf16.
inline void StorePacked(const LinearArgs& args, int64_t row, int64_t rows, int64_t column,
                        int64_t count, const float* sums) {
#if defined(__AMX_BF16__)
  const uint32_t mask = count < kPanelColumns ? (uint32_t{1} << count) - 1 : ~uint32_t{0};
  for (int64_t at = row; at < row + rows; ++at, sums += kPanelColumns) {
    StorePackedRow(args, at, column, _mm512_maskz_loadu_ps(static_cast<__mmask16>(mask), sums),
                   _mm512_maskz_loadu_ps(static_cast<__mmask16>(mask >> 16), sums + 16));
  }
#else
  constexpr int64_t kTile = kTileRows;
  const int64_t depth = Bf16RowDepth(args.columns);
  for (int64_t at = row; at < row + rows; ++at, sums += kPanelColumns) {
    const int64_t tile = at / kTile * kTile;
    const int64_t height = args.rows - tile < kTile ? args.rows - tile : kTile;
    auto* to = reinterpret_cast<uint16_t*>(args.out) + tile * depth + column * height;
    for (int64_t c = 0; c < count; c += 2) {
      uint16_t* pair = to + c * height + 2 * (at - tile);
      pair[0] = RoundToBf16(sums[c]);
      pair[1] = c + 1 < count ? RoundToBf16(sums[c + 1]) : uint16_t{0};
    }
  }
#endif
}

/// Writes one row of a panel: `count` sums, plus the residual if there is one. Panels are whole but
/// for the last: with a constant the loop is a few vectors.
QEFF_INLINE void StoreRow(const float* sums, const float* residual, int64_t count, float* out) {
  if (residual == nullptr) {
    for (int64_t c = 0; c < count; ++c) out[c] = sums[c];
  } else {
    for (int64_t c = 0; c < count; ++c) out[c] = sums[c] + residual[c];
  }
}

/// Finishes the sums of one tile whose first row is `row`; `gate` holds the finished gate sums of
/// the tile if gated.
inline void FinishTile(const LinearArgs& args, int64_t panel, int64_t row, int64_t rows,
                       float* sums, float* gate) {
  AddPanelBias(args, panel, rows, sums);
  int64_t column = panel * kPanelColumns;
  if (args.epilogue == LinearEpilogue::kGated) {
    const int64_t count = rows * kPanelColumns;
    if ((panel & 1) == 0) {
      if (args.limit > 0) {  // comparisons that keep NaN, here and below
        for (int64_t i = 0; i < count; ++i) sums[i] = sums[i] > args.limit ? args.limit : sums[i];
      }
      args.activate({.kind = args.activation, .x = sums, .out = sums, .count = count});
      return;
    }
    if (args.limit > 0) {
      for (int64_t i = 0; i < count; ++i) {
        const float up = sums[i] > args.limit ? args.limit : sums[i];
        sums[i] = up < -args.limit ? -args.limit : up;
      }
    }
    for (int64_t i = 0; i < count; ++i) sums[i] = (sums[i] + args.up_offset) * gate[i];
    column = (panel / 2) * kPanelColumns;
  }
  if (args.epilogue == LinearEpilogue::kActivated) {
    args.activate({.kind = args.activation, .x = sums, .out = sums, .count = rows * kPanelColumns});
  }
  const int64_t left = args.columns - column;
  const int64_t count = left < kPanelColumns ? left : kPanelColumns;
  if (args.packs_out) return StorePacked(args, row, rows, column, count, sums);
  for (int64_t r = 0; r < rows; ++r) {
    float* out = args.out + (row + r) * args.out_stride + column;
    const float* from = sums + r * kPanelColumns;
    const float* residual = args.residual == nullptr
                                ? nullptr
                                : args.residual + (row + r) * args.residual_stride + column;
    if (count == kPanelColumns) {
      StoreRow(from, residual, kPanelColumns, out);
    } else {
      StoreRow(from, residual, count, out);
    }
  }
}

/// Rows of a block: a block of 256 k of them takes 516 KiB, half of a small second-level cache.
constexpr int64_t kBlockRows = 43 * kTileRows;
/// Fetches `lines` lines into the second-level cache.
QEFF_INLINE void FetchLines(const char* next, int64_t lines) {
  constexpr int kSecondLevel = 2;
  for (int64_t i = 0; i < lines; ++i) __builtin_prefetch(next + i * 64, 0, kSecondLevel);
}

/// So few tiles of rows wait for the weights. FetchingTile, if a Format has it, asks for them while
/// it multiplies, and panels take turns after so few k that they are read at several places.
constexpr int64_t kFewTiles = 3;
constexpr int64_t kFewTilesDepth = 32;
template <typename Format>
concept HasFetchingTile = requires {
  &Format::FetchingTile;
};
template <typename Format>
constexpr bool TakesTurns(int64_t rows) {
  return HasFetchingTile<Format> && rows <= kFewTiles * kTileRows;
}
/// WholeTile, if a Format has it, is the Tile of kTileRows rows that fetches what it is told to
/// while it multiplies.
template <typename Format>
concept HasWholeTile = requires {
  &Format::WholeTile;
};

/// Adds what FinishTile will write, and the residual: rows are apart, so nothing else fetches them.
inline void FetchOut(const LinearArgs& args, int64_t panel, int64_t row, int64_t rows,
                     TileFetch* fetch) {
  const bool is_gated = args.epilogue == LinearEpilogue::kGated;
  if (args.packs_out || (is_gated && (panel & 1) == 0)) return;
  const int64_t column = (is_gated ? panel / 2 : panel) * kPanelColumns;
  constexpr int64_t kFloat = sizeof(float);
  fetch->Add(args.out + row * args.out_stride + column, args.out_stride * kFloat, rows);
  if (args.residual == nullptr || args.residual == args.out) return;
  fetch->Add(args.residual + row * args.residual_stride + column, args.residual_stride * kFloat,
             rows);
}

/// Format: kBlockDepth (even), Weight and Row (element types), WeightDepth(k) and RowDepth(k) (as
/// stored), Tile(rows, x, w, depth, sums, accumulate): one tile over `depth` k.
///
/// Operands of a Format: TileFormat, whose tiles multiply; kStripPanels; Weights and Rows, which
/// give what these tiles read, made of what is stored or where it is.

/// Operands as they are stored.
template <typename Format>
class StoredOperands {
 public:
  using TileFormat = Format;
  /// Panels that meet a block of rows before the next block of k, so that rows are fetched from the
  /// third level once for all of them. Their sums take a quarter of a small second-level cache.
  /// Even: gate and up stay together.
  static constexpr int64_t kStripPanels = 4;
  explicit StoredOperands(const LinearArgs& args) : args_(args) {}
  /// `depth` k of a panel.
  const typename Format::Weight* Weights(const typename Format::Weight* stored, int64_t) const {
    return stored;
  }
  /// k [k, k + depth) of a tile of rows; the last argument: no panel met these before.
  const typename Format::Row* Rows(int64_t row, int64_t rows, int64_t k, int64_t, bool) const {
    return static_cast<const typename Format::Row*>(args_.x) + row * Format::RowDepth(args_.depth) +
           k * rows;
  }

 private:
  const LinearArgs& args_;
};

/// Rows and k that meet panels.
struct LinearBlock {
  int64_t row_begin;
  int64_t row_end;
  int64_t k;
  int64_t depth;
};

/// The rows and k of `block` by one panel, while the weights at `next`, as many of them, are
/// fetched. `gate` has the finished gate sums if gated. is_first: the panel is the first one to
/// meet this block.
template <typename Format, typename Operands>
void MultiplyPanelRows(const LinearArgs& args, const LinearBlock& block, Operands& operands,
                       int64_t panel, bool is_first, const typename Format::Weight* next,
                       float* strip, float* gate) {
  using TileFormat = typename Operands::TileFormat;
  const auto* stored = static_cast<const typename Format::Weight*>(args.weights) +
                       (panel * Format::WeightDepth(args.depth) + block.k) * kPanelColumns;
  const auto* w = operands.Weights(stored, block.depth);
  const int64_t tiles = (block.row_end - block.row_begin + kTileRows - 1) / kTileRows;
  const int64_t block_bytes = block.depth * kPanelColumns * static_cast<int64_t>(sizeof(*stored));
  const int64_t lines = (block_bytes / 64 + tiles - 1) / tiles;
  const char* fetched = reinterpret_cast<const char*>(next);
  const bool accumulate = block.k > 0;
  const bool is_last = block.k + block.depth == args.depth;
  const auto tile = [&](int64_t row, int64_t rows, float* sums) {
    const auto* x = operands.Rows(row, rows, block.k, block.depth, is_first);
    const char* from = fetched;
    fetched += lines * 64;
    if constexpr (HasFetchingTile<TileFormat>) {
      if (TakesTurns<TileFormat>(block.row_end - block.row_begin)) {
        TileFetch fetch;
        fetch.Add(from, kFetchBytes, (lines + 1) / 2);
        return TileFormat::FetchingTile(rows, x, w, block.depth, sums, accumulate, fetch);
      }
    }
    if constexpr (HasWholeTile<TileFormat>) {
      if (rows == kTileRows) {
        TileFetch fetch;
        fetch.Add(from, kFetchBytes, (lines + 1) / 2);
        if (is_first) {
          constexpr int64_t kRowBytes = kTileRows * sizeof(typename Format::Row);
          const auto* next_x = static_cast<const typename Format::Row*>(args.x) +
                               (row + kTileRows) * Format::RowDepth(args.depth) +
                               block.k * kTileRows;
          fetch.Add(next_x, kFetchBytes, block.depth * kRowBytes / kFetchBytes);
        }
        if (is_last) FetchOut(args, panel, row, rows, &fetch);
        return TileFormat::WholeTile(x, w, block.depth, sums, accumulate, fetch);
      }
    }
    FetchLines(from, lines);
    TileFormat::Tile(rows, x, w, block.depth, sums, accumulate);
  };
  for (int64_t row = block.row_begin; row < block.row_end; row += kTileRows) {
    const int64_t rows = block.row_end - row < kTileRows ? block.row_end - row : kTileRows;
    const int64_t place = (row - block.row_begin) * kPanelColumns;
    tile(row, rows, strip + place);
    if (is_last) FinishTile(args, panel, row, rows, strip + place, gate + place);
  }
}

template <typename Format, typename Operands>
void RunLinearRows(const LinearArgs& args, int64_t row_begin, int64_t row_end) {
  constexpr int64_t kStrip = Operands::kStripPanels;
  static_assert(kStrip % 2 == 0);
  Operands operands(args);
  const auto* weights = static_cast<const typename Format::Weight*>(args.weights);
  const int64_t panel_elements = Format::WeightDepth(args.depth) * kPanelColumns;
  const int64_t strip_floats = (row_end - row_begin) * kPanelColumns;
  const bool takes_turns = TakesTurns<typename Operands::TileFormat>(row_end - row_begin);
  const int64_t block_depth = takes_turns ? kFewTilesDepth : Format::kBlockDepth;
  for (int64_t first = args.panel_begin; first < args.panel_end; first += kStrip) {
    const int64_t last = args.panel_end - first < kStrip ? args.panel_end : first + kStrip;
    int64_t k = 0;
    do {  // at least once: depth may be 0
      const int64_t left = args.depth - k;
      const int64_t depth = left < block_depth ? left : block_depth;
      const bool is_end = depth == left;
      for (int64_t panel = first; panel < last; ++panel) {
        const auto* next = weights + (panel + 1) * panel_elements + k * kPanelColumns;
        if (takes_turns) {  // what comes next of this place
          next = is_end ? weights + (panel + kStrip) * panel_elements
                        : weights + panel * panel_elements + (k + depth) * kPanelColumns;
        } else if (panel + 1 == last) {
          next = is_end ? weights + last * panel_elements
                        : weights + first * panel_elements + (k + depth) * kPanelColumns;
        }
        float* strip = args.scratch + (panel - first) * strip_floats;
        float* gate = (panel & 1) == 1 && panel > first ? strip - strip_floats : strip;
        MultiplyPanelRows<Format>(args, {row_begin, row_end, k, depth}, operands, panel,
                                  panel == first, next, strip, gate);
      }
      k += depth;
    } while (k < args.depth);
  }
}

template <typename Format, typename Operands = StoredOperands<Format>>
void RunLinear(const LinearArgs& args) {
  for (int64_t row = 0; row < args.rows; row += kBlockRows) {
    const int64_t end = args.rows - row < kBlockRows ? args.rows : row + kBlockRows;
    RunLinearRows<Format, Operands>(args, row, end);
  }
}

}  // namespace
}  // namespace qeff::cpu
