// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Linear with quantised weights and rows by matrix tiles of bytes (tdpbsud): up to 12 rows times 64
// k (32 for groups of 32) meet as many k times 16 columns, which is how panels lie anyway. Two
// packed row tiles by 32 columns take four of the eight tile registers. The integer sums of a block
// of 128 k go through scratch memory to the vector unit, which scales them; the arithmetic is that
// of the vector kernels, bit for bit. One packed tile or less is left to those.
//
// With groups of 32 half of a tile's k are used, and four times as many sums are scaled as with
// 128: from kLeastBf16QuantRows rows on, tiles of bf16 with rows in bf16 (pack_rows_quant.amx.cpp)
// are faster.
#pragma once

#include "backends/cpu/kernels/linear_amx_body.h"

namespace qeff::cpu {
namespace {

/// Tiles 0..3: sums of rows {first, second} by columns {0..15, 16..31}; 4, 5: rows; 6, 7: weights
/// of `step` k.
inline void ConfigureQuantTiles(int64_t first_rows, int64_t second_rows, int64_t step) {
  TileConfiguration configuration;
  for (int i = 0; i < 8; ++i) {
    const bool is_weight = i >= 6;
    const bool is_second = i == 2 || i == 3 || i == 5;
    configuration.rows[i] = static_cast<uint8_t>(is_weight   ? step / 4
                                                 : is_second ? second_rows
                                                             : first_rows);
    configuration.row_bytes[i] = static_cast<uint16_t>(i == 4 || i == 5 ? step : 64);
  }
  LoadTileConfiguration(configuration);
}

/// Two packed row tiles from a block on; without rows, the second is a tile whose sums nobody
/// reads.
struct QuantTilePair {
  const std::byte* first;
  const std::byte* second;
  int64_t first_rows;
  int64_t second_rows;
};

/// Sums of a block, for each group [24][32].
struct QuantBlockSums {
  alignas(64) int32_t at[kQuantBlock / 32][2 * kTileRows][kPanelColumns];
};

/// The products of one group that has `steps` steps of kStep k: `numbers` with 128 bytes a quad.
template <int64_t kStep>
QEFF_INLINE void MultiplyGroup(const std::byte* first, const std::byte* second,
                               const std::byte* numbers, int64_t steps, int64_t first_rows,
                               int32_t (*sums)[kPanelColumns]) {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (int64_t i = 0; i < steps; ++i) {
    _tile_loadd(6, numbers + i * kStep * kPanelColumns, 128);
    _tile_loadd(4, first + i * kStep, kQuantBlock);
    _tile_dpbsud(0, 4, 6);
    _tile_loadd(7, numbers + i * kStep * kPanelColumns + 64, 128);
    _tile_dpbsud(1, 4, 7);
    _tile_loadd(5, second + i * kStep, kQuantBlock);
    _tile_dpbsud(2, 5, 6);
    _tile_dpbsud(3, 5, 7);
  }
  _tile_stored(0, sums[0], kPanelColumns * 4);
  _tile_stored(1, &sums[0][16], kPanelColumns * 4);
  _tile_stored(2, sums[first_rows], kPanelColumns * 4);
  _tile_stored(3, &sums[first_rows][16], kPanelColumns * 4);
}

/// Adds what the sums of one block mean to `rows` rows of `sums`. `scales` are those of the block's
/// groups.
template <int64_t kGroups>
QEFF_INLINE void ScaleBlock(const QuantBlockSums& block, int64_t row_of_block,
                            const std::byte* row_block, int64_t rows, int64_t groups,
                            const __m512 (*scales)[2], bool accumulate, float* sums) {
  const auto* row_scales = reinterpret_cast<const float*>(row_block + rows * kQuantBlock);
  const auto* starts = reinterpret_cast<const int32_t*>(row_scales + rows);
  for (int64_t r = 0; r < rows; ++r) {
    __m512 part[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
#pragma GCC unroll 4
    for (int64_t group = 0; group < kGroups; ++group) {
      if (group >= groups) break;
      const __m512i start = _mm512_set1_epi32(starts[r * kGroups + group]);
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) {
        const __m512i products = _mm512_load_si512(&block.at[group][row_of_block + r][16 * v]);
        const __m512 sum = _mm512_cvtepi32_ps(_mm512_add_epi32(products, start));
        part[v] = _mm512_fmadd_ps(sum, scales[group][v], part[v]);
      }
    }
    const __m512 scale = _mm512_set1_ps(row_scales[r]);
    float* to = sums + r * kPanelColumns;
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v) {
      const __m512 before = accumulate ? _mm512_loadu_ps(to + 16 * v) : _mm512_setzero_ps();
      _mm512_storeu_ps(to + 16 * v, _mm512_fmadd_ps(part[v], scale, before));
    }
  }
}

/// Numbers of k [k, k + count) of a panel in scratch, filled up with zeros to whole tiles.
template <typename Panel>
QEFF_INLINE void UnpackTiles(const std::byte* panel, int64_t panel_depth, int64_t k, int64_t count,
                             std::byte* unpacked) {
  UnpackPanel<QuantOps, Panel>(panel, panel_depth, k, count, unpacked);
  for (int64_t i = count; i % 64 != 0; i += 2) {
    _mm512_storeu_si512(unpacked + i * kPanelColumns, _mm512_setzero_si512());
  }
}

/// sums (+)= the products of two row tiles with `depth` unpacked k, which begin at a block.
template <typename Panel>
QEFF_INLINE void MultiplyTilePair(const QuantTilePair& pair, const std::byte* unpacked,
                                  int64_t depth, QuantBlockSums& block_sums, bool accumulate,
                                  float* sums) {
  constexpr QuantLayout kLayout = Panel::kLayout;
  constexpr int64_t kStep = kLayout.group < 64 ? kLayout.group : 64;
  constexpr int64_t kGroups = kLayout.groups_of_block();
  if (depth == 0) {  // rows have no blocks, hence no scales
    std::memset(sums, 0,
                static_cast<size_t>((pair.first_rows + pair.second_rows) * kPanelColumns * 4));
    return;
  }
  UnpackedPanel<QuantOps, Panel> panel(unpacked, 0);
  for (int64_t k = 0; k < depth; k += kQuantBlock) {
    const int64_t left = depth - k < kQuantBlock ? depth - k : kQuantBlock;
    const int64_t groups = (left + kLayout.group - 1) / kLayout.group;
    const int64_t block = k / kQuantBlock * kLayout.row_block_bytes();
    const std::byte* first = pair.first + block * pair.first_rows;
    const std::byte* second = pair.second + block * pair.second_rows;
    __m512 scales[kGroups][2];
    for (int64_t group = 0; group < groups; ++group) {
      const int64_t group_k = group * kLayout.group;
      const int64_t group_left = left - group_k < kLayout.group ? left - group_k : kLayout.group;
      MultiplyGroup<kStep>(first + group_k, second + group_k,
                           unpacked + (k + group_k) * kPanelColumns,
                           (group_left + kStep - 1) / kStep, pair.first_rows, block_sums.at[group]);
      panel.LoadScales(scales[group]);
    }
    ScaleBlock<kGroups>(block_sums, 0, first, pair.first_rows, groups, scales, k > 0 || accumulate,
                        sums);
    ScaleBlock<kGroups>(block_sums, pair.first_rows, second, pair.second_rows, groups, scales,
                        k > 0 || accumulate, sums + pair.first_rows * kPanelColumns);
  }
}

template <typename Ops, template <typename> class PanelOf>
void RunQuantLinearTiles(const LinearArgs& args) {
  using Panel = PanelOf<Ops>;
  constexpr QuantLayout kLayout = Panel::kLayout;
  constexpr int64_t kStep = kLayout.group < 64 ? kLayout.group : 64;
  const auto* x = static_cast<const std::byte*>(args.x);
  const auto* weights = static_cast<const std::byte*>(args.weights);
  auto* unpacked = reinterpret_cast<std::byte*>(args.scratch + 2 * args.rows * kPanelColumns);
  const int64_t depth = QuantDepth(args.depth);
  const int64_t row_bytes = kLayout.row_bytes(args.depth);
  QuantBlockSums block_sums;
  for (int64_t number = args.panel_begin; number < args.panel_end; ++number) {
    const std::byte* panel = weights + number * kLayout.panel_bytes(args.depth);
    const bool is_up = args.epilogue == LinearEpilogue::kGated && (number & 1) == 1;
    float* strip = args.scratch + (is_up ? args.rows * kPanelColumns : 0);
    for (int64_t k = 0; k < depth || k == 0; k += kUnpackDepth) {
      const int64_t count = depth - k < kUnpackDepth ? depth - k : kUnpackDepth;
      UnpackTiles<Panel>(panel, args.depth, k, count, unpacked);
      ConfigureQuantTiles(kTileRows, kTileRows, kStep);
      for (int64_t row = 0; row < args.rows; row += 2 * kTileRows) {
        const int64_t left = args.rows - row;
        const int64_t first_rows = left < kTileRows ? left : kTileRows;
        const int64_t second_rows = left - first_rows < kTileRows ? left - first_rows : kTileRows;
        if (second_rows < kTileRows) {
          ConfigureQuantTiles(first_rows, second_rows > 0 ? second_rows : 1, kStep);
        }
        const int64_t block = k / kQuantBlock * kLayout.row_block_bytes();
        const std::byte* first = x + row * row_bytes + block * first_rows;
        const std::byte* second =
            second_rows == 0 ? first : x + (row + kTileRows) * row_bytes + block * second_rows;
        float* sums = strip + row * kPanelColumns;
        MultiplyTilePair<Panel>({first, second, first_rows, second_rows}, unpacked, count,
                                block_sums, k > 0, sums);
        if (k + count == depth) {
          FinishTile(args, number, row, first_rows + second_rows, sums,
                     args.scratch + row * kPanelColumns);
        }
      }
    }
  }
  _tile_release();
}

/// Groups of 32.
template <typename Ops, template <typename> class PanelOf>
void RunSmallGroupLinearAmx(const LinearArgs& args, WeightFormat format) {
  if (args.rows <= kTileRows) {
    RunQuantLinear<Ops, PanelOf>(args);
  } else if (args.rows < kLeastBf16QuantRows) {
    RunQuantLinearTiles<Ops, PanelOf>(args);
  } else {
    LinearArgs with_format = args;
    with_format.weight_format = format;
    RunLinearAmx<PackedAmxRows>(with_format);
  }
}

}  // namespace
}  // namespace qeff::cpu
