// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Linear with f32 or f16 weights and f32 rows by matrix tiles of bf16. Rounded to bf16, then the
// rest rounded, then the rest of that, a number is the sum of three bf16 parts exactly: x = x1 + x2
// + x3, |x2| <= 2^-8 |x|, |x3| <= 2^-16 |x|. Of the nine products of two such numbers
//   x1 w1 + (x1 w2 + x2 w1) + (x1 w3 + x2 w2 + x3 w1)
// are computed; the three that are left out come to less than 2^-23 |x w|, typically 2^-26, which
// is what rounding one product to f32 leaves out. The tiles add in f32. In each block of k the
// small products are added up before the large ones, and blocks are added to each other afterwards,
// so that sums are rounded less often at their full size than a chain of fused multiply-adds rounds
// them.
//
// Weights are split while a panel is multiplied, rows once for each block of rows, so this pays
// from some dozens of rows on (IsFasterUnsplit). Numbers that have no such parts (NaN, infinity,
// 2^126 and more) make their panel or block of rows run in fused multiply-adds; numbers below
// 2^-110 lose bits.
//
// Rows are as PackRowsF32Amx leaves them: row-major.
#pragma once

#include "backends/cpu/kernels/linear_amx_body.h"
#include "backends/cpu/kernels/linear_f16_body.h"
#include "backends/cpu/kernels/linear_f32_body.h"
#include "backends/cpu/kernels/pack_rows_body.h"
#include "backends/cpu/kernels/tile_bf16.h"

namespace qeff::cpu {
namespace {

constexpr int64_t kSplitParts = 3;
/// Elements of 32 rows by 32 k in all parts: [part][tile][16][32].
constexpr int64_t kSplitRowsStep = kSplitParts * 2 * kAmxTile;
/// Of 32 k by 32 columns: [part][k / 2][32][2].
constexpr int64_t kSplitWeightsPart = kAmxDepth * kPanelColumns;
constexpr int64_t kSplitWeightsStep = kSplitParts * kSplitWeightsPart;
/// k of a panel whose parts, 24 KiB, stay in the first-level cache while rows pass by.
constexpr int64_t kSplitDepth = 128;
constexpr int64_t kSplitWeightsFloats = kSplitDepth * kPanelColumns * kSplitParts / 2;

/// True if all numbers are sums of three bf16.
inline bool HaveParts(const float* x, int64_t count) {
  const __m512i sign = _mm512_set1_epi32(INT32_MIN);
  __m512i largest[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
  for (int64_t i = 0; i < count; i += 32) {
    const int64_t left = count - i;
    const uint32_t mask = left >= 32 ? ~0U : (1U << left) - 1;
    const __m512i low = _mm512_maskz_loadu_epi32(static_cast<__mmask16>(mask), x + i);
    const __m512i high = _mm512_maskz_loadu_epi32(static_cast<__mmask16>(mask >> 16), x + i + 16);
    largest[0] = _mm512_max_epu32(largest[0], _mm512_andnot_si512(sign, low));
    largest[1] = _mm512_max_epu32(largest[1], _mm512_andnot_si512(sign, high));
  }
  constexpr uint32_t kLimit = (126 + 127) << 23;  // 2^126
  return _mm512_reduce_max_epu32(_mm512_max_epu32(largest[0], largest[1])) < kLimit;
}

/// f16 has none too large.
inline bool HaveParts(const F16Element* x, int64_t count) {
  const __m512i exponent = _mm512_set1_epi16(0x7c00);
  __mmask32 found = 0;
  for (int64_t i = 0; i < count; i += 32) {  // panels have 32 columns
    const __m512i bits = _mm512_and_si512(_mm512_loadu_si512(x + i), exponent);
    found |= _mm512_cmpeq_epi16_mask(bits, exponent);
  }
  return found == 0;
}

/// Takes the next part off `low` and `high`: returns it, low first, and leaves the rest.
QEFF_INLINE __m512i TakePart(__m512& low, __m512& high) {
  const __m512i part = RoundToBf16(low, high);
  const __m512i pairs = PairColumns(part);
  const __m512i high_half = _mm512_set1_epi32(static_cast<int32_t>(0xffff0000u));
  low = _mm512_sub_ps(low, _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16)));
  high = _mm512_sub_ps(high, _mm512_castsi512_ps(_mm512_and_si512(pairs, high_half)));
  return part;
}

/// The parts of `count` rows, `depth` of their k, for each 32 rows [depth / 32][3][2][16][32].
inline void SplitRows(const float* x, int64_t x_stride, int64_t count, int64_t depth,
                      uint16_t* parts) {
  const int64_t blocks = Bf16RowDepth(depth) / kAmxDepth;
  for (int64_t r = 0; r < count; ++r) {
    uint16_t* out = parts + r / kPairRows * blocks * kSplitRowsStep +
                    r % kPairRows / kAmxRows * kAmxTile + r % kAmxRows * kAmxDepth;
    for (int64_t k = 0; k < depth; k += kAmxDepth, out += kSplitRowsStep) {
      const int64_t left = depth - k;
      const uint32_t mask = left >= kAmxDepth ? ~0U : (1U << left) - 1;
      const float* from = x + r * x_stride + k;
      __m512 low = _mm512_maskz_loadu_ps(static_cast<__mmask16>(mask), from);
      __m512 high = _mm512_maskz_loadu_ps(static_cast<__mmask16>(mask >> 16), from + 16);
#pragma GCC unroll 3
      for (int part = 0; part < kSplitParts; ++part) {
        _mm512_storeu_si512(out + part * 2 * kAmxTile, TakePart(low, high));
      }
    }
  }
}

/// The parts of `depth` k of a panel, [depth / 32][3][16][32][2].
template <typename Weight>
inline void SplitWeights(const Weight* panel, int64_t depth, uint16_t* parts) {
  const __m512 zero = _mm512_setzero_ps();
  for (int64_t k = 0; k < Bf16RowDepth(depth); k += 2) {
    uint16_t* out = parts + k / kAmxDepth * kSplitWeightsStep + k % kAmxDepth * kPanelColumns;
    const Weight* from = panel + k * kPanelColumns;
    for (int half = 0; half < 2; ++half, out += kPanelColumns, from += 16) {
      __m512 even = k < depth ? reinterpret_cast<__m512>(LoadElement(from)) : zero;
      __m512 odd =
          k + 1 < depth ? reinterpret_cast<__m512>(LoadElement(from + kPanelColumns)) : zero;
#pragma GCC unroll 3
      for (int part = 0; part < kSplitParts; ++part) {
        _mm512_storeu_si512(out + part * kSplitWeightsPart, PairColumns(TakePart(even, odd)));
      }
    }
  }
}

/// Tiles 4 and 5 = a part of 32 rows, tiles 6 and 7 = one of the weights.
template <bool kIsPair>
QEFF_INLINE void LoadSplitRows(const uint16_t* rows, int part) {
  _tile_loadd(4, rows + part * 2 * kAmxTile, 64);
  if constexpr (kIsPair) _tile_loadd(5, rows + part * 2 * kAmxTile + kAmxTile, 64);
}
QEFF_INLINE void LoadSplitWeights(const uint16_t* weights, int part) {
  _tile_loadd(6, weights + part * kSplitWeightsPart, 128);
  _tile_loadd(7, weights + part * kSplitWeightsPart + 32, 128);
}
/// Tiles 0 .. 3 += their products.
template <bool kIsPair>
QEFF_INLINE void AddSplitProducts() {
  _tile_dpbf16ps(0, 4, 6);
  _tile_dpbf16ps(1, 4, 7);
  if constexpr (kIsPair) {
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
}

/// Tiles 0 .. 3 = the small products of 32 rows, or 16, by `blocks` times 32 k of a panel.
template <bool kIsPair>
inline void MultiplySmallParts(const uint16_t* rows, const uint16_t* weights, int64_t blocks) {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (int64_t block = 0; block < blocks; ++block) {
    const uint16_t* x = rows + block * kSplitRowsStep;
    const uint16_t* w = weights + block * kSplitWeightsStep;
    LoadSplitRows<kIsPair>(x, 0);
    LoadSplitWeights(w, 2);
    AddSplitProducts<kIsPair>();
    LoadSplitWeights(w, 1);
    AddSplitProducts<kIsPair>();
    LoadSplitRows<kIsPair>(x, 1);
    AddSplitProducts<kIsPair>();
    LoadSplitWeights(w, 0);
    AddSplitProducts<kIsPair>();
    LoadSplitRows<kIsPair>(x, 2);
    AddSplitProducts<kIsPair>();
  }
}

/// Adds the large ones; sums [32][32] = tiles 0 .. 3.
template <bool kIsPair>
inline void MultiplyLargeParts(const uint16_t* rows, const uint16_t* weights, int64_t blocks,
                               float* sums) {
  for (int64_t block = 0; block < blocks; ++block) {
    LoadSplitRows<kIsPair>(rows + block * kSplitRowsStep, 0);
    LoadSplitWeights(weights + block * kSplitWeightsStep, 0);
    AddSplitProducts<kIsPair>();
  }
  constexpr int64_t kStride = kPanelColumns * 4;
  _tile_stored(0, sums, kStride);
  _tile_stored(1, sums + 16, kStride);
  if constexpr (kIsPair) {
    _tile_stored(2, sums + kAmxRows * kPanelColumns, kStride);
    _tile_stored(3, sums + kAmxRows * kPanelColumns + 16, kStride);
  }
}

/// Rows [row_begin, row_end) in fused multiply-adds. Results do not depend on the division.
template <typename Weight>
inline void RunPlainRows(const LinearArgs& args, int64_t row_begin, int64_t row_end,
                         int64_t panel_begin, int64_t panel_end) {
  const int64_t strip_floats = (row_end - row_begin) * kPanelColumns;
  const auto* x = static_cast<const float*>(args.x);
  for (int64_t panel = panel_begin; panel < panel_end; ++panel) {
    const auto* weights =
        static_cast<const Weight*>(args.weights) + panel * args.depth * kPanelColumns;
    const bool is_up = args.epilogue == LinearEpilogue::kGated && (panel & 1) == 1;
    float* strip = args.scratch + (is_up ? strip_floats : 0);
    for (int64_t row = row_begin; row < row_end; row += kTileRows) {
      const int64_t rows = row_end - row < kTileRows ? row_end - row : kTileRows;
      const int64_t place = (row - row_begin) * kPanelColumns;
      RowsTileF32For<Weight>(rows)(x + row * args.depth, args.depth, weights, kPanelColumns,
                                   args.depth, strip + place, kPanelColumns, false);
      FinishTile(args, panel, row, rows, strip + place, args.scratch + place);
    }
  }
}

/// How a product is cut up. Depends on its sizes only, so that every thread adds in the same order.
struct SplitBlocks {
  int64_t rows;   ///< a multiple of 32
  int64_t depth;  ///< a multiple of kSplitDepth, or all: the parts of rows by so many k stay in the
                  ///< second-level cache
  int64_t panels;  ///< even: gate and up stay together
};

inline SplitBlocks ChooseSplitBlocks(const LinearArgs& args) {
  constexpr int64_t kMostRows = 1024;
  SplitBlocks blocks;
  blocks.depth = args.depth <= 4 * kSplitDepth ? args.depth : 3 * kSplitDepth;
  const int64_t row_bytes = Bf16RowDepth(blocks.depth < 1 ? 1 : blocks.depth) * 2 * kSplitParts;
  int64_t rows = kAmxRowBytes / row_bytes / kPairRows * kPairRows;
  if (rows > kMostRows) rows = kMostRows;
  const int64_t count = (args.rows + rows - 1) / rows;  // of even size
  rows = (args.rows + count - 1) / count;
  blocks.rows = (rows + kPairRows - 1) / kPairRows * kPairRows;
  const int64_t strips =
      (kAmxStripFloats - kSplitWeightsFloats) / (blocks.rows * kPanelColumns) / 2 * 2;
  blocks.panels = blocks.depth == args.depth ? 2 : strips;
  return blocks;
}

/// A block of rows whose parts are in `rows`, and what is made of it.
struct SplitRun {
  int64_t begin;
  int64_t end;
  uint16_t* rows;     ///< of the k in [k, k + depth)
  uint16_t* weights;  ///< kSplitDepth of a panel
  int64_t k;
  int64_t depth;
  bool has_rows;  ///< `rows` holds all k
};

/// What becomes of the products of 32 rows by kSplitDepth k.
struct SplitStrip {
  float* sums;  ///< [rows][32], and so on
  float* gate;
  int64_t panel;
  bool is_first;  ///< of the blocks of k: the products are the sums already
  bool is_last;
  AmxFetch fetch;  ///< of the weights after the next, at each 32 rows
};
inline void CollectProducts(const LinearArgs& args, const SplitRun& run, const SplitStrip& strip,
                            int64_t row, const float* products) {
  const int64_t left = run.end - run.begin - row;
  const int64_t count = left < kPairRows ? left : kPairRows;
  float* sums = strip.sums + row * kPanelColumns;
  if (!strip.is_first) {
    for (int64_t i = 0; i < count * kPanelColumns; ++i) sums[i] += products[i];
  }
  if (strip.is_last) {
    FinishTile(args, strip.panel, run.begin + row, count, sums, strip.gate + row * kPanelColumns);
  }
}

/// All rows by `depth` k of a panel, of which `weights` has the parts. What the tiles stored for 32
/// rows is collected while they work on the next: after the loads of their small products, since
/// memory that tiles store cannot be read for a while.
inline void MultiplySplitBlock(const LinearArgs& args, const SplitRun& run, int64_t k,
                               int64_t depth, SplitStrip strip) {
  alignas(64) float products[kPairRows * kPanelColumns];
  const int64_t row_blocks = Bf16RowDepth(run.depth) / kAmxDepth;
  const int64_t blocks = Bf16RowDepth(depth) / kAmxDepth;
  const int64_t count = run.end - run.begin;
  for (int64_t row = 0; row < count; row += kPairRows) {
    const uint16_t* rows =
        run.rows + (row / kPairRows * row_blocks + k / kAmxDepth) * kSplitRowsStep;
    float* to = strip.is_first ? strip.sums + row * kPanelColumns : products;
    const bool is_pair = count - row > kAmxRows;
    if (is_pair) {
      MultiplySmallParts<true>(rows, run.weights, blocks);
    } else {
      MultiplySmallParts<false>(rows, run.weights, blocks);
    }
    strip.fetch.Step();
    if (row > 0) CollectProducts(args, run, strip, row - kPairRows, products);
    if (is_pair) {
      MultiplyLargeParts<true>(rows, run.weights, blocks, to);
    } else {
      MultiplyLargeParts<false>(rows, run.weights, blocks, to);
    }
  }
  CollectProducts(args, run, strip, (count - 1) / kPairRows * kPairRows, products);
}

/// The panels [first, last) of a block of rows, all k.
template <typename Weight>
inline void RunSplitPanels(const LinearArgs& args, const SplitBlocks& blocks, int64_t first,
                           int64_t last, SplitRun& run) {
  const int64_t strip_floats = blocks.rows * kPanelColumns;
  const auto* x = static_cast<const float*>(args.x) + run.begin * args.depth;
  // The weights of the next panels, in even pieces, a panel's block of k during the same of this.
  const int64_t pairs = (run.end - run.begin + kPairRows - 1) / kPairRows;
  constexpr auto kWeightBytes = static_cast<int64_t>(sizeof(Weight));
  const int64_t lines = (kSplitDepth * kWeightBytes / 2 + pairs - 1) / pairs;
  const int64_t ahead = (last - first) * args.depth * kPanelColumns;
  for (run.k = 0; run.k < args.depth; run.k += blocks.depth) {
    run.depth = args.depth - run.k < blocks.depth ? args.depth - run.k : blocks.depth;
    if (!run.has_rows) {
      SplitRows(x + run.k, args.depth, run.end - run.begin, run.depth, run.rows);
      run.has_rows = run.depth == args.depth;
    }
    for (int64_t panel = first; panel < last; ++panel) {
      float* sums = args.scratch + (panel - first) * strip_floats;
      const auto* weights =
          static_cast<const Weight*>(args.weights) + (panel * args.depth + run.k) * kPanelColumns;
      for (int64_t k = 0; k < run.depth; k += kSplitDepth) {
        const int64_t depth = run.depth - k < kSplitDepth ? run.depth - k : kSplitDepth;
        SplitWeights(weights + k * kPanelColumns, depth, run.weights);
        MultiplySplitBlock(
            args, run, k, depth,
            {.sums = sums,
             .gate = (panel & 1) == 1 ? sums - strip_floats : sums,
             .panel = panel,
             .is_first = run.k + k == 0,
             .is_last = run.k + k + depth == args.depth,
             .fetch = {reinterpret_cast<const char*>(weights + ahead + k * kPanelColumns), lines}});
      }
    }
  }
}

/// Weights of args are `Weight`: float or F16Element.
template <typename Weight>
inline void RunSplitLinear(const LinearArgs& args) {
  const SplitBlocks blocks = ChooseSplitBlocks(args);
  const int64_t unit = args.epilogue == LinearEpilogue::kGated ? 2 : 1;
  const int64_t panel_elements = args.depth * kPanelColumns;
  SplitRun run = {};
  run.weights =
      reinterpret_cast<uint16_t*>(args.scratch + blocks.panels * blocks.rows * kPanelColumns);
  run.rows = run.weights + 2 * kSplitWeightsFloats;
  ConfigureTiles(kPairRows);
  for (int64_t begin = 0; begin < args.rows; begin += blocks.rows) {
    run.begin = begin;
    run.end = args.rows - begin < blocks.rows ? args.rows : begin + blocks.rows;
    run.has_rows = false;
    const bool rows_have_parts = HaveParts(static_cast<const float*>(args.x) + begin * args.depth,
                                           (run.end - begin) * args.depth);
    // Neighbours that are alike run together; what a panel gets does not depend on them.
    const auto has_parts = [&](int64_t panel) {
      return rows_have_parts &&
             HaveParts(static_cast<const Weight*>(args.weights) + panel * panel_elements,
                       unit * panel_elements);
    };
    int64_t last = args.panel_begin;
    for (int64_t first = last; first < args.panel_end; first = last) {
      const bool splits = has_parts(first);
      do {
        last += unit;
      } while (last < args.panel_end && last - first < blocks.panels && has_parts(last) == splits);
      if (splits) {
        RunSplitPanels<Weight>(args, blocks, first, last, run);
      } else {
        RunPlainRows<Weight>(args, run.begin, run.end, first, last);
      }
    }
  }
  _tile_release();
}

/// True if splitting the weights takes longer than tiles gain, as measured on a Xeon, and the rows
/// fit the scratch.
inline bool IsFasterUnsplit(const LinearArgs& args) {
  constexpr int64_t kLongDepth = 1024;
  const int64_t most_rows = args.depth < kLongDepth ? 48 : 160;
  return args.rows <= most_rows && args.rows * args.depth * 4 <= kAmxRowBytes;
}

/// In fused multiply-adds, as other sets do it: with the rows packed here as they pack them.
template <typename Format>
inline void RunUnsplit(const LinearArgs& args) {
  float* packed = args.scratch + kAmxStripFloats;
  for (int64_t row = 0; row < args.rows; row += kTileRows) {
    RunPackRowsF32({.x = static_cast<const float*>(args.x) + row * args.depth,
                    .x_stride = args.depth,
                    .row_begin = row,
                    .rows = args.rows - row < kTileRows ? args.rows - row : kTileRows,
                    .total_rows = args.rows,
                    .depth = args.depth,
                    .out = packed});
  }
  LinearArgs with_packed = args;
  with_packed.x = packed;
  RunLinear<Format>(with_packed);
}

/// Format: of the same weights, for rows of which there are few.
template <typename Format, typename Weight>
inline void RunF32RowsAmx(const LinearArgs& args) {
  constexpr int64_t kFewRows = 32;  // splitting the weights takes longer than multiplying them
  if (args.rows <= kPanelOrderRows) {
    RunStreamedLinear<Format>(args);
  } else if (IsFasterUnsplit(args)) {
    RunUnsplit<Format>(args);
  } else if (args.rows <= kFewRows || args.depth == 0) {
    RunPlainRows<Weight>(args, 0, args.rows, args.panel_begin, args.panel_end);
  } else {
    RunSplitLinear<Weight>(args);
  }
}

}  // namespace
}  // namespace qeff::cpu
