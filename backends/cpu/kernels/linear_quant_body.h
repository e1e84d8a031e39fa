// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Linear with quantised weights and rows (kernels.h has the layouts and the arithmetic). The loops
// are the same for all formats and instruction sets. Ops, one struct for each instruction set, has
// the vectors of 32-bit lanes and the product of quads; a panel struct for each format has the way
// from stored bytes to numbers. Up to kMaxTileRows rows numbers are made in registers, each used
// once; for more, a block of the panel is unpacked into the first-level cache and read by all
// tiles.
#pragma once

#include <utility>

#include "backends/cpu/kernels/linear_stream_body.h"

namespace qeff::cpu {
namespace {

/// Panels are read from a column c < 16 on: Ops::kColumns columns from c and as many from 16 + c.
/// Load gives the numbers of two quads: first quad, both halves, then the second.
template <typename Ops>
struct Int8Panel {
  static constexpr QuantLayout kLayout = kInt8Layout;
  static constexpr bool kIsUnpacked = true;  // the stored form is what the product reads
  const std::byte* numbers;
  const std::byte* scales;

  Int8Panel(const std::byte* panel, int64_t depth, int64_t k, int c)
      : numbers(panel + kLayout.scales_bytes(depth) + k * 32 + c * 4),
        scales(panel + (k / kLayout.group * kPanelColumns + c) * 2) {}
  QEFF_INLINE void Load(typename Ops::Bytes* w) {
    for (int i = 0; i < 4; ++i) w[i] = Ops::LoadBytes(numbers + i * 64);
    numbers += 256;
  }
  QEFF_INLINE void LoadScales(typename Ops::Floats* s) {
    s[0] = Ops::ScalesFromBf16(scales);
    s[1] = Ops::ScalesFromBf16(scales + 32);
    scales += kPanelColumns * 2;
  }
};

template <typename Ops>
struct Int4Panel {
  static constexpr QuantLayout kLayout = kInt4Layout;
  static constexpr bool kIsUnpacked = false;
  const std::byte* numbers;
  const std::byte* scales;

  Int4Panel(const std::byte* panel, int64_t depth, int64_t k, int c)
      : numbers(panel + kLayout.scales_bytes(depth) + k * 16 + c * 4),
        scales(panel + (k / kLayout.group * kPanelColumns + c) * 2) {}
  QEFF_INLINE void Load(typename Ops::Bytes* w) {
    for (int i = 0; i < 2; ++i) {
      const typename Ops::Bytes both = Ops::LoadBytes(numbers + i * 64);
      w[2 * i] = Ops::LowNibbles(both);
      w[2 * i + 1] = Ops::HighNibbles(both);
    }
    numbers += 128;
  }
  QEFF_INLINE void LoadScales(typename Ops::Floats* s) {
    s[0] = Ops::ScalesFromBf16(scales);
    s[1] = Ops::ScalesFromBf16(scales + 32);
    scales += kPanelColumns * 2;
  }
};

template <typename Ops>
struct Mxfp6Panel {
  static constexpr QuantLayout kLayout = kMxfp6Layout;
  static constexpr bool kIsUnpacked = false;
  const std::byte* numbers;
  const std::byte* scales;

  Mxfp6Panel(const std::byte* panel, int64_t depth, int64_t k, int c)
      : numbers(panel + kLayout.scales_bytes(depth) + k * 24 + c * 4),
        scales(panel + k / kLayout.group * kPanelColumns + c) {}
  QEFF_INLINE void Load(typename Ops::Bytes* w) {
    const typename Ops::Bytes first = Ops::LoadBytes(numbers);
    const typename Ops::Bytes second = Ops::LoadBytes(numbers + 64);
    const typename Ops::Bytes upper = Ops::LoadBytes(numbers + 128);
    w[0] = Ops::template FromE2m3<0>(Ops::LowNibbles(first), upper);
    w[1] = Ops::template FromE2m3<2>(Ops::HighNibbles(first), upper);
    w[2] = Ops::template FromE2m3<4>(Ops::LowNibbles(second), upper);
    w[3] = Ops::template FromE2m3<6>(Ops::HighNibbles(second), upper);
    numbers += 192;
  }
  QEFF_INLINE void LoadScales(typename Ops::Floats* s) {
    s[0] = Ops::ScalesFromE8m0(scales);
    s[1] = Ops::ScalesFromE8m0(scales + 16);
    scales += kPanelColumns;
  }
};

/// Numbers of a format that were unpacked into scratch, with f32 scales.
template <typename Ops, typename Panel>
struct UnpackedPanel {
  static constexpr QuantLayout kLayout = Panel::kLayout;
  const std::byte* numbers;
  const float* scales;

  UnpackedPanel(const std::byte* unpacked, int c)
      : numbers(unpacked + c * 4),
        scales(reinterpret_cast<const float*>(unpacked + kUnpackDepth * kPanelColumns) + c) {}
  QEFF_INLINE void Load(typename Ops::Bytes* w) {
    for (int i = 0; i < 4; ++i) w[i] = Ops::LoadBytes(numbers + i * 64);
    numbers += 256;
  }
  QEFF_INLINE void LoadScales(typename Ops::Floats* s) {
    s[0] = Ops::LoadFloats(scales);
    s[1] = Ops::LoadFloats(scales + 16);
    scales += kPanelColumns;
  }
};

/// Rows [first, ...) of a packed tile of `rows`, from a block on.
struct QuantRows {
  const std::byte* blocks;
  int64_t rows;
  int64_t first;
};

/// The sum of a group as floats. Ops whose sums do not begin at `start` have a FinishSum.
template <typename Ops, int32_t kZeroPoint>
QEFF_INLINE typename Ops::Floats SumToFloats(const typename Ops::Ints& sum,
                                             [[maybe_unused]] const int32_t* start) {
  if constexpr (requires { Ops::template FinishSum<kZeroPoint>(sum, start); }) {
    return Ops::ToFloats(Ops::template FinishSum<kZeroPoint>(sum, start));
  } else {
    return Ops::ToFloats(sum);
  }
}

/// sums[r][c .. ] (+)= the products of kRows rows with two vectors of columns over `depth` k, which
/// begin at a block.
template <typename Ops, typename Panel, int kRows>
QEFF_INLINE void QuantMicroTile(const QuantRows& x, Panel panel, int64_t depth, int c, float* sums,
                                bool accumulate) {
  using Floats = typename Ops::Floats;
  constexpr QuantLayout kLayout = Panel::kLayout;
  constexpr int64_t kGroups = kLayout.groups_of_block();
  if (depth == 0) {
    for (int r = 0; r < kRows; ++r) {
      Ops::StoreFloats(sums + r * kPanelColumns + c, Ops::Zero());
      Ops::StoreFloats(sums + r * kPanelColumns + 16 + c, Ops::Zero());
    }
  }
  for (int64_t k = 0; k < depth; k += kQuantBlock) {
    const std::byte* block = x.blocks + k / kQuantBlock * x.rows * kLayout.row_block_bytes();
    const std::byte* values = block + x.first * kQuantBlock;
    const auto* row_scales = reinterpret_cast<const float*>(block + x.rows * kQuantBlock);
    const auto* starts = reinterpret_cast<const int32_t*>(row_scales + x.rows) + x.first * kGroups;
    row_scales += x.first;
    const int64_t end = depth - k < kQuantBlock ? depth - k : kQuantBlock;
    Floats part[kRows][2];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) part[r][0] = part[r][1] = Ops::Zero();
    for (int64_t group = 0; group * kLayout.group < end; ++group) {
      typename Ops::Ints sum[kRows][2];
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        sum[r][0] = sum[r][1] =
            Ops::template StartOfSum<kLayout.zero_point>(starts + r * kGroups + group);
      }
      const int64_t left = end - group * kLayout.group;
      const int64_t count = left < kLayout.group ? left : kLayout.group;
      for (int64_t i = 0; i < count; i += 8) {
        typename Ops::Bytes w[4];
        panel.Load(w);
#pragma GCC unroll 2
        for (int quad = 0; quad < 2; ++quad) {
#pragma GCC unroll 8
          for (int r = 0; r < kRows; ++r) {
            const typename Ops::Bytes quad_of_row =
                Ops::BroadcastQuad(values + r * kQuantBlock + 4 * quad);
            Ops::template AddProducts<kLayout.zero_point>(sum[r][0], w[2 * quad], quad_of_row);
            Ops::template AddProducts<kLayout.zero_point>(sum[r][1], w[2 * quad + 1], quad_of_row);
          }
        }
        values += 8;
      }
      Floats scales[2];
      panel.LoadScales(scales);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
        for (int v = 0; v < 2; ++v) {
          const Floats whole =
              SumToFloats<Ops, kLayout.zero_point>(sum[r][v], starts + r * kGroups + group);
          part[r][v] = Ops::MultiplyAdd(whole, scales[v], part[r][v]);
        }
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const Floats scale = Ops::BroadcastFloat(row_scales[r]);
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) {
        float* to = sums + r * kPanelColumns + 16 * v + c;
        const Floats before = k > 0 || accumulate ? Ops::LoadFloats(to) : Ops::Zero();
        Ops::StoreFloats(to, Ops::MultiplyAdd(part[r][v], scale, before));
      }
    }
  }
}

template <typename Ops, typename Panel, int kRows>
void QuantTileOfPanel(const QuantRows& x, const std::byte* panel, int64_t panel_depth, int64_t k,
                      int64_t depth, float* sums, bool accumulate) {
  for (int c = 0; c < 16; c += Ops::kColumns) {
    QuantMicroTile<Ops, Panel, kRows>(x, Panel(panel, panel_depth, k, c), depth, c, sums,
                                      accumulate);
  }
}

template <typename Ops, typename Panel, int kRows>
void QuantTileOfUnpacked(const QuantRows& x, const std::byte* unpacked, int64_t, int64_t,
                         int64_t depth, float* sums, bool accumulate) {
  for (int c = 0; c < 16; c += Ops::kColumns) {
    QuantMicroTile<Ops, UnpackedPanel<Ops, Panel>, kRows>(x, UnpackedPanel<Ops, Panel>(unpacked, c),
                                                          depth, c, sums, accumulate);
  }
}

using QuantTileFunction = void (*)(const QuantRows&, const std::byte*, int64_t, int64_t, int64_t,
                                   float*, bool);

/// The tiles of 1 .. kMaxTileRows rows that read the panel itself, or what was unpacked of it.
template <typename Ops, typename Panel, size_t... kIndex>
QuantTileFunction SelectQuantTile(int64_t rows, bool of_unpacked, std::index_sequence<kIndex...>) {
  static constexpr QuantTileFunction kOfPanel[] = {
      &QuantTileOfPanel<Ops, Panel, static_cast<int>(kIndex) + 1>...};
  static constexpr QuantTileFunction kOfUnpacked[] = {
      &QuantTileOfUnpacked<Ops, Panel, static_cast<int>(kIndex) + 1>...};
  return of_unpacked ? kOfUnpacked[rows - 1] : kOfPanel[rows - 1];
}

/// k [k, k + depth) of a panel as numbers and f32 scales; k begins at a block.
template <typename Ops, typename Panel>
void UnpackPanel(const std::byte* from, int64_t panel_depth, int64_t k, int64_t depth,
                 std::byte* unpacked) {
  auto* scales = reinterpret_cast<float*>(unpacked + kUnpackDepth * kPanelColumns);
  for (int c = 0; c < 16; c += Ops::kColumns) {
    Panel panel(from, panel_depth, k, c);
    std::byte* to = unpacked + c * 4;
    for (int64_t i = 0; i < depth; i += 8, to += 256) {
      typename Ops::Bytes w[4];
      panel.Load(w);
      for (int j = 0; j < 4; ++j) Ops::StoreBytes(to + j * 64, w[j]);
    }
    for (int64_t group = 0; group * Panel::kLayout.group < depth; ++group) {
      typename Ops::Floats s[2];
      panel.LoadScales(s);
      Ops::StoreFloats(scales + group * kPanelColumns + c, s[0]);
      Ops::StoreFloats(scales + group * kPanelColumns + 16 + c, s[1]);
    }
  }
}

/// All tiles of `args.rows` rows with k [k, k + depth) of one panel.
template <typename Ops, typename Panel>
QEFF_INLINE void RunQuantBlock(const LinearArgs& args, const std::byte* panel, int64_t k,
                               int64_t depth, const std::byte* unpacked, int64_t row, int64_t rows,
                               float* sums) {
  constexpr QuantLayout kLayout = Panel::kLayout;
  const std::byte* tile = static_cast<const std::byte*>(args.x) +
                          row * kLayout.row_bytes(args.depth) +
                          k / kQuantBlock * rows * kLayout.row_block_bytes();
  // Two parts of about the same size if one is too large for the registers.
  constexpr int64_t kMost = Ops::kMaxTileRows;
  const int64_t parts = (rows + kMost - 1) / kMost;
  for (int64_t part = 0, first = 0; part < parts; ++part) {
    const int64_t count = (rows - first) / (parts - part);
    const QuantTileFunction run = SelectQuantTile<Ops, Panel>(
        count, unpacked != nullptr, std::make_index_sequence<Ops::kMaxTileRows>());
    run({tile, rows, first}, unpacked != nullptr ? unpacked : panel, args.depth, k, depth,
        sums + first * kPanelColumns, k > 0);
    first += count;
  }
}

/// One row by the panels at w, columns from c on, as QuantMicroTile does it.
template <typename Ops, typename Panel, int... kStream>
QEFF_INLINE void QuantStreamColumns(const std::byte* x, const std::byte* const* w, int64_t depth,
                                    int c, float* const* sums,
                                    std::integer_sequence<int, kStream...>) {
  using Floats = typename Ops::Floats;
  constexpr QuantLayout kLayout = Panel::kLayout;
  constexpr int64_t kGroups = kLayout.groups_of_block();
  constexpr int kStreams = sizeof...(kStream);
  Panel panels[] = {Panel(w[kStream], depth, 0, c)...};
  Floats total[kStreams][2];
  for (auto& sum : total) sum[0] = sum[1] = Ops::Zero();
  const int64_t padded = QuantDepth(depth);
  for (int64_t k = 0; k < padded; k += kQuantBlock, x += kLayout.row_block_bytes()) {
    const auto* row_scale = reinterpret_cast<const float*>(x + kQuantBlock);
    const auto* starts = reinterpret_cast<const int32_t*>(row_scale + 1);
    const int64_t end = padded - k < kQuantBlock ? padded - k : kQuantBlock;
    Floats part[kStreams][2];
    for (auto& sum : part) sum[0] = sum[1] = Ops::Zero();
    for (int64_t group = 0; group < kGroups && group * kLayout.group < end; ++group) {
      typename Ops::Ints sum[kStreams][2];
      for (int s = 0; s < kStreams; ++s) {
        sum[s][0] = sum[s][1] = Ops::template StartOfSum<kLayout.zero_point>(starts + group);
      }
      const std::byte* values = x + group * kLayout.group;
      const int64_t left = end - group * kLayout.group;
      const int64_t count = left < kLayout.group ? left : kLayout.group;
      for (int64_t i = 0; i < count; i += 8) {
        const typename Ops::Bytes quads[] = {Ops::BroadcastQuad(values + i),
                                             Ops::BroadcastQuad(values + i + 4)};
#pragma GCC unroll 4
        for (int s = 0; s < kStreams; ++s) {
          FetchAhead<kLayout.quad_bytes * 2 / 64>(panels[s].numbers);
          typename Ops::Bytes numbers[4];
          panels[s].Load(numbers);
          for (int n = 0; n < 4; ++n) {
            Ops::template AddProducts<kLayout.zero_point>(sum[s][n % 2], numbers[n], quads[n / 2]);
          }
        }
      }
      for (int s = 0; s < kStreams; ++s) {
        Floats scales[2];
        FetchAhead<1>(panels[s].scales);
        panels[s].LoadScales(scales);
        for (int v = 0; v < 2; ++v) {
          const Floats whole = SumToFloats<Ops, kLayout.zero_point>(sum[s][v], starts + group);
          part[s][v] = Ops::MultiplyAdd(whole, scales[v], part[s][v]);
        }
      }
    }
    const Floats scale = Ops::BroadcastFloat(*row_scale);
    for (int s = 0; s < kStreams; ++s) {
      for (int v = 0; v < 2; ++v) {
        total[s][v] = Ops::MultiplyAdd(part[s][v], scale, total[s][v]);
      }
    }
  }
  for (int s = 0; s < kStreams; ++s) {
    for (int v = 0; v < 2; ++v) Ops::StoreFloats(sums[s] + 16 * v + c, total[s][v]);
  }
}

template <typename Ops, typename Panel>
struct QuantStreams {
  using Weight = std::byte;
  using Row = std::byte;
  static int64_t PanelElements(int64_t depth) { return Panel::kLayout.panel_bytes(depth); }
  /// A row takes two sums in integers and four in floats for each panel. Ops that know better have
  /// kStreams.
  static constexpr int StreamCount(int rows) {
    if (rows > 1) return 0;
    if constexpr (requires { Ops::template kStreams<Panel::kLayout.zero_point>; }) {
      return Ops::template kStreams<Panel::kLayout.zero_point>;
    } else {
      constexpr bool kFitFour = kSumRegisters > 16 && sizeof(typename Ops::Floats) <=
                                                          sizeof(Vec);  // or several registers
      return kFitFour ? 4 : 1;
    }
  }
  template <int kRows, int kStreams>
  static void Stream(const std::byte* x, const std::byte* const* w, int64_t depth,
                     float* const* sums) {
    for (int c = 0; c < 16; c += Ops::kColumns) {
      QuantStreamColumns<Ops, Panel>(x, w, depth, c, sums,
                                     std::make_integer_sequence<int, kStreams>());
    }
    // The scales lie between the numbers of two panels.
    for (int s = 0; s < kStreams; ++s) {
      FetchAhead<16>(w[s] + PanelElements(depth) + Panel::kLayout.scales_bytes(depth) -
                     kAheadBytes);
    }
  }
};

template <typename Ops, template <typename> class PanelOf>
void RunQuantLinear(const LinearArgs& args) {
  using Panel = PanelOf<Ops>;
  if (RunAsStreams<QuantStreams<Ops, Panel>>(args)) return;
  const auto* weights = static_cast<const std::byte*>(args.weights);
  const int64_t depth = QuantDepth(args.depth);
  const bool is_unpacked = !Panel::kIsUnpacked && args.rows > Ops::kMaxTileRows;
  auto* unpacked = is_unpacked
                       ? reinterpret_cast<std::byte*>(args.scratch + 2 * args.rows * kPanelColumns)
                       : nullptr;
  const int64_t block = args.rows <= kTileRows && !is_unpacked ? depth : kUnpackDepth;
  for (int64_t number = args.panel_begin; number < args.panel_end; ++number) {
    const std::byte* panel = weights + number * Panel::kLayout.panel_bytes(args.depth);
    const bool is_up = args.epilogue == LinearEpilogue::kGated && (number & 1) == 1;
    float* strip = args.scratch + (is_up ? args.rows * kPanelColumns : 0);
    int64_t k = 0;
    do {  // at least once: depth may be 0
      const int64_t count = depth - k < block ? depth - k : block;
      if (is_unpacked) UnpackPanel<Ops, Panel>(panel, args.depth, k, count, unpacked);
      for (int64_t row = 0; row < args.rows; row += kTileRows) {
        const int64_t rows = args.rows - row < kTileRows ? args.rows - row : kTileRows;
        float* sums = strip + row * kPanelColumns;
        RunQuantBlock<Ops, Panel>(args, panel, k, count, unpacked, row, rows, sums);
        if (k + count == depth) {
          FinishTile(args, number, row, rows, sums, args.scratch + row * kPanelColumns);
        }
      }
      k += count;
    } while (k < depth);
  }
}

}  // namespace
}  // namespace qeff::cpu
