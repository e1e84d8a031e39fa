// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Linear of 2 to 24 quantised rows by int8 weights with matrix tiles of bytes (tdpbsud): up to 12
// rows times 64 k meet as many k times 16 columns, which is how panels lie anyway. Two packed row
// tiles by 32 columns take four of the eight tile registers. The integer sums of a block of 128 k
// go through scratch memory to the vector unit, which scales them; the arithmetic is that of the
// vector kernels, bit for bit.
#pragma once

#include <cstring>

#include "backends/cpu/kernels/linear_amx_stream_body.h"

namespace qeff::cpu {
namespace {

constexpr int64_t kInt8Step = 64;  ///< k of a tile

/// A block of one or two packed row tiles; without rows, the second is a tile whose sums nobody
/// reads.
struct Int8RowBlocks {
  const std::byte* first;
  const std::byte* second;
  int64_t first_rows;
  int64_t second_rows;
};

/// Sums of a block.
using Int8Sums = int32_t[2 * kTileRows][kPanelColumns];

QEFF_INLINE void MultiplyInt8Step(const Int8RowBlocks& rows, int64_t k, const std::byte* numbers) {
  _tile_loadd(6, numbers, 128);
  _tile_loadd(4, rows.first + k, kQuantBlock);
  _tile_dpbsud(0, 4, 6);
  _tile_loadd(7, numbers + 64, 128);
  _tile_dpbsud(1, 4, 7);
  _tile_loadd(5, rows.second + k, kQuantBlock);
  _tile_dpbsud(2, 5, 6);
  _tile_dpbsud(3, 5, 7);
}

/// The products with `depth` k at `numbers`, a multiple of 32.
QEFF_INLINE void MultiplyInt8Block(const Int8RowBlocks& rows, const std::byte* numbers,
                                   int64_t depth, Int8Sums& sums) {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  int64_t k = 0;
  for (; k + kInt8Step <= depth; k += kInt8Step) {
    MultiplyInt8Step(rows, k, numbers + k * kPanelColumns);
  }
  if (k < depth) {  // what follows a panel need not be readable
    alignas(64) std::byte filled[kInt8Step * kPanelColumns] = {};
    std::memcpy(filled, numbers + k * kPanelColumns,
                static_cast<size_t>((depth - k) * kPanelColumns));
    MultiplyInt8Step(rows, k, filled);
  }
  _tile_stored(0, sums[0], kPanelColumns * 4);
  _tile_stored(1, &sums[0][16], kPanelColumns * 4);
  _tile_stored(2, sums[rows.first_rows], kPanelColumns * 4);
  _tile_stored(3, &sums[rows.first_rows][16], kPanelColumns * 4);
}

/// Adds what the sums of one block mean to `rows` rows of `sums`.
QEFF_INLINE void ScaleInt8Block(const int32_t (*products)[kPanelColumns],
                                const std::byte* row_block, int64_t rows, const __m512 (&scales)[2],
                                bool accumulate, float* sums) {
  const auto* row_scales = reinterpret_cast<const float*>(row_block + rows * kQuantBlock);
  const auto* starts = reinterpret_cast<const int32_t*>(row_scales + rows);
  for (int64_t r = 0; r < rows; ++r) {
    const __m512i start = _mm512_set1_epi32(starts[r]);
    const __m512 scale = _mm512_set1_ps(row_scales[r]);
    float* to = sums + r * kPanelColumns;
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v) {
      const __m512i product = _mm512_load_si512(&products[r][16 * v]);
      const __m512 part =
          _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_add_epi32(product, start)), scales[v]);
      const __m512 before = accumulate ? _mm512_loadu_ps(to + 16 * v) : _mm512_setzero_ps();
      _mm512_storeu_ps(to + 16 * v, _mm512_fmadd_ps(part, scale, before));
    }
  }
}

inline void RunInt8Tiles(const LinearArgs& args) {
  constexpr QuantLayout kLayout = kInt8Layout;
  constexpr int64_t kFarAhead = 8192;  // measured, with the fetches of 2048 bytes ahead
  constexpr int64_t kAhead = 2048;
  const auto* x = static_cast<const std::byte*>(args.x);
  const int64_t first_rows = args.rows < kTileRows ? args.rows : kTileRows;
  const int64_t second_rows = args.rows - first_rows;
  const std::byte* second = second_rows > 0 ? x + kTileRows * kLayout.row_bytes(args.depth) : x;
  const int64_t depth = QuantDepth(args.depth);
  ConfigureTiles(first_rows, second_rows);
  alignas(64) Int8Sums products;
  for (int64_t number = args.panel_begin; number < args.panel_end; ++number) {
    Int8Panel<QuantOps> panel(
        static_cast<const std::byte*>(args.weights) + number * kLayout.panel_bytes(args.depth),
        args.depth, 0, 0);
    const bool is_up = args.epilogue == LinearEpilogue::kGated && (number & 1) == 1;
    float* sums = args.scratch + (is_up ? args.rows * kPanelColumns : 0);
    float* second_sums = sums + first_rows * kPanelColumns;
    if (depth == 0) std::memset(sums, 0, static_cast<size_t>(args.rows * kPanelColumns * 4));
    for (int64_t k = 0; k < depth; k += kQuantBlock) {
      const int64_t block = k / kQuantBlock * kLayout.row_block_bytes();
      const Int8RowBlocks rows = {x + block * first_rows, second + block * second_rows, first_rows,
                                  second_rows};
      const std::byte* numbers = panel.numbers + k * kPanelColumns;
      for (int64_t i = 0; i < kQuantBlock * kPanelColumns; i += 64) {
        _mm_prefetch(numbers + kFarAhead + i, _MM_HINT_T1);
        _mm_prefetch(numbers + kAhead + i, _MM_HINT_T0);
      }
      __m512 scales[2];
      FetchAhead<1>(panel.scales);
      panel.LoadScales(scales);
      MultiplyInt8Block(rows, numbers, depth - k < kQuantBlock ? depth - k : kQuantBlock, products);
      ScaleInt8Block(products, rows.first, first_rows, scales, k > 0, sums);
      ScaleInt8Block(products + first_rows, rows.second, second_rows, scales, k > 0, second_sums);
    }
    FinishTile(args, number, 0, args.rows, sums, args.scratch);
  }
  _tile_release();
}

}  // namespace
}  // namespace qeff::cpu
