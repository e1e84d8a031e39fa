// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Quantised weights that meet bf16 rows: some k of a panel become bf16 in scratch, in the order of
// bf16 panels, and stay in the first-level cache while all rows pass by. A number times its scale
// is exact in f32; it is rounded to nearest even.
#pragma once

#include "backends/cpu/kernels/linear_quant_body.h"
#include "backends/cpu/kernels/linear_stream_body.h"
#if defined(__AVX512BF16__)
#include "backends/cpu/kernels/tile_bf16.h"
#endif

namespace qeff::cpu {
namespace {

/// Vectors of 32-bit lanes, one for each column.
template <int kColumns>
struct ColumnLanes;
#define QEFF_COLUMN_LANES(columns)                                         \
  template <>                                                              \
  struct ColumnLanes<columns> {                                            \
    using Unsigned = uint32_t __attribute__((vector_size(4 * (columns)))); \
    using Signed = int32_t __attribute__((vector_size(4 * (columns))));    \
    using Float = float __attribute__((vector_size(4 * (columns))));       \
  }
QEFF_COLUMN_LANES(4);
QEFF_COLUMN_LANES(8);
QEFF_COLUMN_LANES(16);
#undef QEFF_COLUMN_LANES

/// Numbers of an instruction set's vectors of bytes to pairs of bf16.
template <typename Ops>
struct Bf16Pairs {
  using Lanes = typename ColumnLanes<Ops::kColumns>::Unsigned;
  using Signed = typename ColumnLanes<Ops::kColumns>::Signed;
  using Numbers = typename ColumnLanes<Ops::kColumns>::Float;

  /// The rounded bits are the upper ones. A NaN has the bits of its scale, of which the lower half
  /// is zeros, so it stays one.
  QEFF_INLINE static Lanes Round(Numbers value) {
    const auto bits = reinterpret_cast<Lanes>(value);
    return bits + 0x7fffu + ((bits >> 16) & 1u);
  }
  /// The even k in the lower halves.
  QEFF_INLINE static Lanes Pack(Numbers even, Numbers odd) {
#if defined(__AVX512BF16__)
    return reinterpret_cast<Lanes>(
        PairColumns(RoundToBf16(reinterpret_cast<__m512>(even), reinterpret_cast<__m512>(odd))));
#else
    return (Round(odd) & 0xffff0000u) | (Round(even) >> 16);
#endif
  }

  /// Four k of some columns, as two pairs.
  template <int kZeroPoint>
  QEFF_INLINE static void Quad(const typename Ops::Bytes& bytes, Numbers scale, uint16_t* first,
                               uint16_t* second) {
    Lanes lanes;
    std::memcpy(&lanes, &bytes, sizeof(lanes));
    Numbers value[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const auto number = reinterpret_cast<Signed>((lanes >> (8 * i)) & 0xffu) - kZeroPoint;
      value[i] = __builtin_convertvector(number, Numbers) * scale;
    }
    const Lanes pairs[2] = {Pack(value[0], value[1]), Pack(value[2], value[3])};
    std::memcpy(first, &pairs[0], sizeof(Lanes));
    std::memcpy(second, &pairs[1], sizeof(Lanes));
  }
};

/// Blocks of about the same size, a multiple of 32 each and at most `most`, which is one.
constexpr int64_t DequantDepth(int64_t depth, int64_t most = kDequantDepth) {
  const int64_t count = depth < 1 ? 1 : (depth + most - 1) / most;
  return Bf16RowDepth((depth + count - 1) / count);
}

/// k [k, k + depth) of a panel; k is a multiple of 32, depth is filled up to one.
template <typename Ops, typename Panel>
void DequantisePanel(const std::byte* from, int64_t panel_depth, int64_t k, int64_t depth,
                     uint16_t* out) {
  constexpr QuantLayout kLayout = Panel::kLayout;
  using Pairs = Bf16Pairs<Ops>;
  for (int c = 0; c < 16; c += Ops::kColumns) {
    Panel panel(from, panel_depth, k, c);
    typename Pairs::Numbers scales[2];
    for (int64_t i = 0; i < depth; i += 8) {
      if (i == 0 || (k + i) % kLayout.group == 0) {
        typename Ops::Floats loaded[2];
        panel.LoadScales(loaded);
        std::memcpy(scales, loaded, sizeof(scales));
      }
      typename Ops::Bytes w[4];
      panel.Load(w);
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {  // two quads of both halves of the columns
        uint16_t* to = out + (i + j / 2 * 4) * kPanelColumns + j % 2 * 32 + 2 * c;
        Pairs::template Quad<kLayout.zero_point>(w[j], scales[j % 2], to, to + 2 * kPanelColumns);
      }
    }
  }
}

/// k [k, k + depth) of a panel of `args` as bf16 pairs: where they are, or made in `scratch`,
/// [ceil(depth / 32) * 16][32][2]. k is a multiple of 32 if they are quantised.
template <typename Ops>
const uint16_t* Bf16Block(const LinearArgs& args, int64_t panel, int64_t k, int64_t depth,
                          uint16_t* scratch) {
  const auto* weights = static_cast<const std::byte*>(args.weights);
  switch (args.weight_format) {
    case WeightFormat::kInt8:
      DequantisePanel<Ops, Int8Panel<Ops>>(weights + panel * kInt8Layout.panel_bytes(args.depth),
                                           args.depth, k, depth, scratch);
      return scratch;
    case WeightFormat::kInt4:
      DequantisePanel<Ops, Int4Panel<Ops>>(weights + panel * kInt4Layout.panel_bytes(args.depth),
                                           args.depth, k, depth, scratch);
      return scratch;
    case WeightFormat::kMxfp6:
      DequantisePanel<Ops, Mxfp6Panel<Ops>>(weights + panel * kMxfp6Layout.panel_bytes(args.depth),
                                            args.depth, k, depth, scratch);
      return scratch;
    default:
      return reinterpret_cast<const uint16_t*>(weights) +
             (panel * RoundUpToEven(args.depth) + k) * kPanelColumns;
  }
}

/// Format: as for RunLinear, with bf16 weights. Each block of a panel is made once for all rows.
template <typename Format, typename Ops>
void RunLinearDequantised(const LinearArgs& args) {
  const auto* x = static_cast<const uint16_t*>(args.x);
  const int64_t row_depth = Format::RowDepth(args.depth);
  auto* scratch = reinterpret_cast<uint16_t*>(args.scratch + 2 * args.rows * kPanelColumns);
  for (int64_t panel = args.panel_begin; panel < args.panel_end; ++panel) {
    const bool is_up = args.epilogue == LinearEpilogue::kGated && (panel & 1) == 1;
    float* strip = args.scratch + (is_up ? args.rows * kPanelColumns : 0);
    const int64_t block = DequantDepth(args.depth);
    int64_t k = 0;
    do {  // at least once: depth may be 0
      const int64_t count = args.depth - k < block ? args.depth - k : block;
      const uint16_t* w = Bf16Block<Ops>(args, panel, k, count, scratch);
      for (int64_t row = 0; row < args.rows; row += kTileRows) {
        const int64_t rows = args.rows - row < kTileRows ? args.rows - row : kTileRows;
        float* sums = strip + row * kPanelColumns;
        Format::Tile(rows, x + row * row_depth + k * rows, w, count, sums, k > 0);
        if (k + count == args.depth) {
          FinishTile(args, panel, row, rows, sums, args.scratch + row * kPanelColumns);
        }
      }
      k += count;
    } while (k < args.depth);
  }
}

/// bf16 rows by weights in bf16 or quantised.
template <typename Format, typename Ops>
void RunLinearBf16Rows(const LinearArgs& args) {
  if (args.weight_format == WeightFormat::kBf16) {
    RunStreamedLinear<Format>(args);
  } else {
    RunLinearDequantised<Format, Ops>(args);
  }
}

}  // namespace
}  // namespace qeff::cpu
