// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Linear with quantised weights and rows by smmla: two rows times two columns over eight k, into a
// register [2][2] of integers. A block of the panel is unpacked into the first-level cache in that
// order: for each eight k the 32 columns, eight bytes each, less their zero point. The arithmetic
// is that of the other kernels, bit for bit. A single row is left to those.
#pragma once

#include "backends/cpu/kernels/quant_ops_neon.h"

namespace qeff::cpu {
namespace {

using MmlaOps = QuantOpsNeon<1, ProductOfUnsignedQuads>;

constexpr int64_t kMmlaDepth = 8;
constexpr int kMmlaColumns = 8;  // of a register tile: four vectors of weights

/// Numbers of k [k, k + depth) of a panel, [depth / 8][32][8], and f32 scales after kUnpackDepth k.
template <typename Panel>
void UnpackForMmla(const std::byte* from, int64_t panel_depth, int64_t k, int64_t depth,
                   std::byte* unpacked) {
  const uint8x16_t zero_point = vdupq_n_u8(static_cast<uint8_t>(Panel::kLayout.zero_point));
  auto* scales = reinterpret_cast<float*>(unpacked + kUnpackDepth * kPanelColumns);
  for (int c = 0; c < 16; c += MmlaOps::kColumns) {
    Panel panel(from, panel_depth, k, c);
    auto* to = reinterpret_cast<uint32_t*>(unpacked + c * kMmlaDepth);
    for (int64_t i = 0; i < depth; i += kMmlaDepth, to += 64) {
      MmlaOps::Bytes w[4];
      panel.Load(w);
      for (int half = 0; half < 2; ++half) {
        const auto quad = vreinterpretq_u32_u8(vsubq_u8(w[half].at[0], zero_point));
        const auto next_quad = vreinterpretq_u32_u8(vsubq_u8(w[2 + half].at[0], zero_point));
        vst1q_u32(to + half * 32, vzip1q_u32(quad, next_quad));
        vst1q_u32(to + half * 32 + 4, vzip2q_u32(quad, next_quad));
      }
    }
    for (int64_t group = 0; group * Panel::kLayout.group < depth; ++group) {
      MmlaOps::Floats s[2];
      panel.LoadScales(s);
      MmlaOps::StoreFloats(scales + group * kPanelColumns + c, s[0]);
      MmlaOps::StoreFloats(scales + group * kPanelColumns + 16 + c, s[1]);
    }
  }
}

/// Eight k of two rows.
QEFF_INLINE int8x16_t LoadTwoRows(const std::byte* row, const std::byte* next_row) {
  return vcombine_s8(vld1_s8(reinterpret_cast<const int8_t*>(row)),
                     vld1_s8(reinterpret_cast<const int8_t*>(next_row)));
}

/// sums[r][0 .. 8) (+)= the products of kRows rows with eight columns over `depth` k, which begin
/// at a block. `numbers` and `scales` are those of the first column.
template <typename Panel, int kRows>
QEFF_INLINE void QuantMmlaMicroTile(const QuantRows& x, const std::byte* numbers,
                                    const float* scales, int64_t depth, float* sums,
                                    bool accumulate) {
  constexpr QuantLayout kLayout = Panel::kLayout;
  constexpr int kRowPairs = (kRows + 1) / 2;
  constexpr int kColumnPairs = kMmlaColumns / 2;
  for (int64_t k = 0; k < depth; k += kQuantBlock) {
    const std::byte* block = x.blocks + k / kQuantBlock * x.rows * kLayout.row_block_bytes();
    const std::byte* values = block + x.first * kQuantBlock;
    const auto* row_scales = reinterpret_cast<const float*>(block + x.rows * kQuantBlock) + x.first;
    const int64_t end = depth - k < kQuantBlock ? depth - k : kQuantBlock;
    Vec part[kRowPairs][kColumnPairs] = {};
    for (int64_t group = 0; group * kLayout.group < end; ++group) {
      int32x4_t sum[kRowPairs][kColumnPairs] = {};
      const int64_t left = end - group * kLayout.group;
      const int64_t count = left < kLayout.group ? left : kLayout.group;
      for (int64_t i = 0; i < count; i += kMmlaDepth) {
        int8x16_t w[kColumnPairs];
#pragma GCC unroll 4
        for (int c = 0; c < kColumnPairs; ++c) {
          w[c] = vld1q_s8(reinterpret_cast<const int8_t*>(numbers) + 16 * c);
        }
#pragma GCC unroll 3
        for (int r = 0; r < kRowPairs; ++r) {
          const std::byte* row = values + 2 * r * kQuantBlock;
          const int8x16_t rows = LoadTwoRows(row, 2 * r + 1 < kRows ? row + kQuantBlock : row);
#pragma GCC unroll 4
          for (int c = 0; c < kColumnPairs; ++c) sum[r][c] = vmmlaq_s32(sum[r][c], rows, w[c]);
        }
        values += kMmlaDepth;
        numbers += kMmlaDepth * kPanelColumns;
      }
#pragma GCC unroll 4
      for (int c = 0; c < kColumnPairs; ++c) {
        const Vec of_columns = Load(scales + c / 2 * kLanes);
        const Vec scale = c % 2 == 0 ? __builtin_shufflevector(of_columns, of_columns, 0, 1, 0, 1)
                                     : __builtin_shufflevector(of_columns, of_columns, 2, 3, 2, 3);
#pragma GCC unroll 3
        for (int r = 0; r < kRowPairs; ++r) {
          part[r][c] += __builtin_convertvector(sum[r][c], Vec) * scale;
        }
      }
      scales += kPanelColumns;
    }
#pragma GCC unroll 6
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
      for (int v = 0; v < kColumnPairs / 2; ++v) {
        const Vec left_pair = part[r / 2][2 * v];
        const Vec right_pair = part[r / 2][2 * v + 1];
        const Vec of_row = r % 2 == 0 ? __builtin_shufflevector(left_pair, right_pair, 0, 1, 4, 5)
                                      : __builtin_shufflevector(left_pair, right_pair, 2, 3, 6, 7);
        float* to = sums + r * kPanelColumns + v * kLanes;
        const Vec before = k > 0 || accumulate ? Load(to) : Vec{};
        Store(to, of_row * row_scales[r] + before);
      }
    }
  }
}

template <typename Panel, int kRows>
void QuantMmlaTile(const QuantRows& x, const std::byte* unpacked, int64_t depth, float* sums,
                   bool accumulate) {
  const auto* scales = reinterpret_cast<const float*>(unpacked + kUnpackDepth * kPanelColumns);
  for (int c = 0; c < kPanelColumns; c += kMmlaColumns) {
    QuantMmlaMicroTile<Panel, kRows>(x, unpacked + c * kMmlaDepth, scales + c, depth, sums + c,
                                     accumulate);
  }
}

/// The tiles of 1 .. 6 rows: 3 pairs of rows by 4 of columns, as integers and as floats, are 24 of
/// 32 registers.
template <typename Panel, size_t... kIndex>
void SelectQuantMmlaTile(const QuantRows& x, int64_t rows, const std::byte* unpacked, int64_t depth,
                         float* sums, bool accumulate, std::index_sequence<kIndex...>) {
  using Function = void (*)(const QuantRows&, const std::byte*, int64_t, float*, bool);
  static constexpr Function kTiles[] = {&QuantMmlaTile<Panel, static_cast<int>(kIndex) + 1>...};
  kTiles[rows - 1](x, unpacked, depth, sums, accumulate);
}

/// All rows of one packed tile with `depth` unpacked k.
template <typename Panel>
void RunQuantMmlaRows(const std::byte* tile, int64_t rows, const std::byte* unpacked, int64_t depth,
                      float* sums, bool accumulate) {
  if (depth == 0) {  // rows have no blocks, hence no scales
    std::memset(sums, 0, static_cast<size_t>(rows * kPanelColumns) * sizeof(float));
    return;
  }
  constexpr int64_t kMost = 6;
  for (int64_t first = 0; first < rows; first += kMost) {
    const int64_t count = rows - first < kMost ? rows - first : kMost;
    SelectQuantMmlaTile<Panel>({tile, rows, first}, count, unpacked, depth,
                               sums + first * kPanelColumns, accumulate,
                               std::make_index_sequence<kMost>());
  }
}

template <template <typename> class PanelOf>
void RunQuantLinearMmla(const LinearArgs& args) {
  using Panel = PanelOf<MmlaOps>;
  constexpr QuantLayout kLayout = Panel::kLayout;
  if (args.rows == 1) {
    RunQuantLinearNeon<ProductOfUnsignedQuads, PanelOf>(args);
    return;
  }
  const auto* x = static_cast<const std::byte*>(args.x);
  const auto* weights = static_cast<const std::byte*>(args.weights);
  auto* unpacked = reinterpret_cast<std::byte*>(args.scratch + 2 * args.rows * kPanelColumns);
  const int64_t depth = QuantDepth(args.depth);
  for (int64_t number = args.panel_begin; number < args.panel_end; ++number) {
    const std::byte* panel = weights + number * kLayout.panel_bytes(args.depth);
    const bool is_up = args.epilogue == LinearEpilogue::kGated && (number & 1) == 1;
    float* strip = args.scratch + (is_up ? args.rows * kPanelColumns : 0);
    for (int64_t k = 0; k < depth || k == 0; k += kUnpackDepth) {
      const int64_t count = depth - k < kUnpackDepth ? depth - k : kUnpackDepth;
      UnpackForMmla<Panel>(panel, args.depth, k, count, unpacked);
      for (int64_t row = 0; row < args.rows; row += kTileRows) {
        const int64_t rows = args.rows - row < kTileRows ? args.rows - row : kTileRows;
        const std::byte* tile = x + row * kLayout.row_bytes(args.depth) +
                                k / kQuantBlock * rows * kLayout.row_block_bytes();
        float* sums = strip + row * kPanelColumns;
        RunQuantMmlaRows<Panel>(tile, rows, unpacked, count, sums, k > 0);
        if (k + count == depth) {
          FinishTile(args, number, row, rows, sums, args.scratch + row * kPanelColumns);
        }
      }
    }
  }
}

}  // namespace
}  // namespace qeff::cpu
