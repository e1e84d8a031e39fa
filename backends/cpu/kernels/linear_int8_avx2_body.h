// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// int8 weights by several rows without VNNI. Bytes would have to be multiplied as magnitude and
// sign (quant_ops_avx2.h): three of its four instructions share two ports. Widened to 16 bits, half
// of the four are additions, which have a third: a block of two panels is widened once for all
// rows, a tile of rows once for both panels.
#pragma once

#include <immintrin.h>

#include <utility>

#include "backends/cpu/kernels/linear_body.h"
#include "backends/cpu/kernels/narrow_loads.h"

namespace qeff::cpu {
namespace {

/// Panels that meet a tile of rows before the next one is widened. Gate and up stay together.
constexpr int64_t kWidePanels = 2;
/// Rows of the register tile, by 16 columns: 12 sums, 2 vectors of weights, a row, a product.
constexpr int kWideRows = 6;

// The four k of a quad make two pairs for a 32-bit lane, k 0 and 2, then 1 and 3: a mask and a
// shift widen them.

/// kQuantBlock k of a panel, [quad][pair][32][2], and their scales. Bytes of weights keep their
/// zero point.
struct WidePanel {
  alignas(64) int16_t numbers[kQuantBlock * kPanelColumns];
  alignas(64) float scales[kPanelColumns];
};

/// kQuantBlock k of a tile of rows, [row][pair][quad][2].
struct WideRows {
  alignas(64) int16_t numbers[kTileRows * kQuantBlock];
  const float* scales;
  const int32_t* starts;
};

/// The intrinsics want pointers to vectors; these take what lies there.
QEFF_INLINE __m256i Load32Bytes(const void* from) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(from));
}
/// To 32-byte aligned memory.
QEFF_INLINE void Store32Bytes(int16_t* to, __m256i value) {
  _mm256_store_si256(reinterpret_cast<__m256i*>(to), value);
}

/// `depth` k, a multiple of 4, of a panel from block `block` on.
inline void WidenPanel(const std::byte* panel, int64_t panel_depth, int64_t block, int64_t depth,
                       WidePanel* out) {
  constexpr int64_t kQuadBytes = kInt8Layout.quad_bytes;
  const std::byte* quads =
      panel + kInt8Layout.scales_bytes(panel_depth) + block * kQuantBlock / 4 * kQuadBytes;
  const __m256i even = _mm256_set1_epi16(0xff);
  int16_t* to = out->numbers;
  for (int64_t k = 0; k < depth; k += 4, quads += kQuadBytes, to += 4 * kPanelColumns) {
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) {
      const __m256i bytes = Load32Bytes(quads + 32 * v);
      Store32Bytes(to + 16 * v, _mm256_and_si256(bytes, even));
      Store32Bytes(to + 2 * kPanelColumns + 16 * v, _mm256_srli_epi16(bytes, 8));
    }
  }
  const auto* scales = reinterpret_cast<const uint16_t*>(panel) + block * kPanelColumns;
  for (int64_t c = 0; c < kPanelColumns; c += kLanes) {
    Store(out->scales + c, LoadBf16(scales + c));
  }
}

/// Block `block` of a packed tile of `rows`.
inline void WidenRows(const std::byte* tile, int64_t rows, int64_t block, WideRows* out) {
  const std::byte* from = tile + block * rows * kInt8Layout.row_block_bytes();
  out->scales = reinterpret_cast<const float*>(from + rows * kQuantBlock);
  out->starts = reinterpret_cast<const int32_t*>(out->scales + rows);
  int16_t* to = out->numbers;
  for (int64_t r = 0; r < rows; ++r, to += kQuantBlock, from += kQuantBlock) {
#pragma GCC unroll 4
    for (int64_t k = 0; k < kQuantBlock; k += 32) {
      const __m256i bytes = Load32Bytes(from + k);
      Store32Bytes(to + k / 2, _mm256_srai_epi16(_mm256_slli_epi16(bytes, 8), 8));
      Store32Bytes(to + (kQuantBlock + k) / 2, _mm256_srai_epi16(bytes, 8));
    }
  }
}

/// sums[r][c] (+)= the products of kRows rows from `first` on with 16 columns over `depth` k.
template <int kRows>
void WideTile(const WideRows& rows, int64_t first, const WidePanel& panel, int64_t column,
              int64_t depth, float* sums, bool accumulate) {
  const int16_t* x = rows.numbers + first * kQuantBlock;
  const int16_t* w = panel.numbers + 2 * column;
  __m256i sum[kRows][2];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    sum[r][0] = sum[r][1] = _mm256_set1_epi32(rows.starts[first + r]);
  }
  for (int64_t k = 0; k < depth; k += 4, x += 2) {
#pragma GCC unroll 2
    for (int pair = 0; pair < 2; ++pair, w += 2 * kPanelColumns) {
      const __m256i w0 = Load32Bytes(w);
      const __m256i w1 = Load32Bytes(w + 16);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        int32_t both;
        std::memcpy(&both, x + r * kQuantBlock + pair * kQuantBlock / 2, sizeof(both));
        const __m256i row = _mm256_set1_epi32(both);
        sum[r][0] = _mm256_add_epi32(sum[r][0], _mm256_madd_epi16(w0, row));
        sum[r][1] = _mm256_add_epi32(sum[r][1], _mm256_madd_epi16(w1, row));
        // Row after row: gcc would take all products first and spill the sums.
        asm("" : "+x"(sum[r][0]), "+x"(sum[r][1]), "+r"(x));
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    const Vec scale = Broadcast(rows.scales[first + r]);
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v) {
      float* to = sums + r * kPanelColumns + column + v * kLanes;
      const __m256 part = _mm256_cvtepi32_ps(sum[r][v]) * Load(panel.scales + column + v * kLanes);
      Store(to, _mm256_fmadd_ps(part, scale, accumulate ? Load(to) : Vec{}));
    }
  }
}

using WideTileFunction = void (*)(const WideRows&, int64_t, const WidePanel&, int64_t, int64_t,
                                  float*, bool);
template <size_t... kIndex>
WideTileFunction SelectWideTile(int64_t rows, std::index_sequence<kIndex...>) {
  static constexpr WideTileFunction kTiles[] = {&WideTile<static_cast<int>(kIndex) + 1>...};
  return kTiles[rows - 1];
}

/// A tile of `rows` by the whole panel.
inline void MultiplyWide(const WideRows& x, int64_t rows, const WidePanel& panel, int64_t depth,
                         float* sums, bool accumulate) {
  const int64_t parts = (rows + kWideRows - 1) / kWideRows;
  for (int64_t part = 0, first = 0; part < parts; ++part) {
    const int64_t count = (rows - first) / (parts - part);
    const WideTileFunction tile = SelectWideTile(count, std::make_index_sequence<kWideRows>());
    for (int64_t column = 0; column < kPanelColumns; column += 2 * kLanes) {
      tile(x, first, panel, column, depth, sums + first * kPanelColumns, accumulate);
    }
    first += count;
  }
}

/// Linear of a depth that is not 0.
inline void RunInt8Wide(const LinearArgs& args) {
  const auto* weights = static_cast<const std::byte*>(args.weights);
  const auto* x = static_cast<const std::byte*>(args.x);
  const int64_t panel_bytes = kInt8Layout.panel_bytes(args.depth);
  const int64_t depth = QuantDepth(args.depth);
  const int64_t strip_floats = args.rows * kPanelColumns;
  WidePanel wide[kWidePanels];
  WideRows tile;
  for (int64_t begin = args.panel_begin; begin < args.panel_end; begin += kWidePanels) {
    const int64_t left = args.panel_end - begin;
    const int64_t panels = left < kWidePanels ? left : kWidePanels;
    for (int64_t k = 0; k < depth; k += kQuantBlock) {
      const int64_t count = depth - k < kQuantBlock ? depth - k : kQuantBlock;
      for (int64_t p = 0; p < panels; ++p) {
        WidenPanel(weights + (begin + p) * panel_bytes, args.depth, k / kQuantBlock, count,
                   &wide[p]);
      }
      for (int64_t row = 0; row < args.rows; row += kTileRows) {
        const int64_t rows = args.rows - row < kTileRows ? args.rows - row : kTileRows;
        WidenRows(x + row * kInt8Layout.row_bytes(args.depth), rows, k / kQuantBlock, &tile);
        for (int64_t p = 0; p < panels; ++p) {
          float* sums = args.scratch + p * strip_floats + row * kPanelColumns;
          MultiplyWide(tile, rows, wide[p], count, sums, k > 0);
          if (k + count >= depth) {
            FinishTile(args, begin + p, row, rows, sums, args.scratch + row * kPanelColumns);
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace qeff::cpu
