// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Linear of up to 32 bf16 rows by matrix tiles. Reading the weights takes longer than multiplying
// them, so they are read as for fewer rows (linear_stream_body.h): two panels side by side, fetched
// ahead, each read once. Quantised weights become bf16 32 k at a time, right before the tile that
// reads them.
#pragma once

#include "backends/cpu/kernels/linear_amx_body.h"

namespace qeff::cpu {
namespace {

/// What is made from stored numbers takes longer than a fetch from the second level; what comes
/// from memory is asked for so far ahead. 2048 bytes, and into the first level, were 5 to 8 %
/// slower on a Xeon.
constexpr int64_t kAmxAheadBytes = 4096;
template <int kLines>
QEFF_INLINE void FetchFarAhead(const std::byte* from) {
#pragma GCC unroll 16
  for (int i = 0; i < kLines; ++i) _mm_prefetch(from + kAmxAheadBytes + i * 64, _MM_HINT_T1);
}

/// Sources read a panel from its first k on. Next() gives the next 32 k as bf16 pairs,
/// [16][32][2], where they are or made in `scratch`; after the last k come zeros. Fetch() asks for
/// later ones, once the tiles of these are loaded: tiles that waited behind it read 4 % less on a
/// Xeon.
struct Bf16Source {
  static constexpr bool kIsMade = false;
  const uint16_t* at;
  int64_t left;

  static int64_t PanelBytes(int64_t depth) { return RoundUpToEven(depth) * kPanelColumns * 2; }
  Bf16Source(const std::byte* panel, int64_t depth)
      : at(reinterpret_cast<const uint16_t*>(panel)), left(depth) {}
  QEFF_INLINE const uint16_t* Next(uint16_t* scratch) {
    const uint16_t* step = at;
    at += kAmxDepth * kPanelColumns;
    left -= kAmxDepth;
    if (left >= 0) return step;
    FillLastBlock(step, left + kAmxDepth, scratch);
    return scratch;
  }
  QEFF_INLINE void Fetch() const { FetchAhead<kAmxTile * 4 / 64>(at - kAmxDepth * kPanelColumns); }
};

template <template <typename> class PanelOf>
struct QuantSource {
  using Panel = PanelOf<QuantOpsVbmi>;
  using Pairs = Bf16Pairs<QuantOpsVbmi>;
  static constexpr QuantLayout kLayout = Panel::kLayout;
  static constexpr bool kIsMade = true;
  Panel panel;
  typename Pairs::Numbers scales[2];
  int64_t left_of_group = 0;

  static int64_t PanelBytes(int64_t depth) { return kLayout.panel_bytes(depth); }
  QuantSource(const std::byte* from, int64_t depth) : panel(from, depth, 0, 0) {}
  QEFF_INLINE const uint16_t* Next(uint16_t* scratch) {
    if (left_of_group == 0) {
      FetchAhead<1>(panel.scales);
      __m512 loaded[2];
      panel.LoadScales(loaded);
      for (int i = 0; i < 2; ++i) scales[i] = reinterpret_cast<typename Pairs::Numbers>(loaded[i]);
      left_of_group = kLayout.group;
    }
    left_of_group -= kAmxDepth;
#pragma GCC unroll 4
    for (int64_t k = 0; k < kAmxDepth; k += 8) {
      __m512i w[4];
      panel.Load(w);
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {  // two quads of both halves of the columns
        uint16_t* to = scratch + (k + i / 2 * 4) * kPanelColumns + i % 2 * 32;
        Pairs::template Quad<kLayout.zero_point>(w[i], scales[i % 2], to, to + 2 * kPanelColumns);
      }
    }
    return scratch;
  }
  QEFF_INLINE void Fetch() const {
    FetchFarAhead<kLayout.quad_bytes * kAmxDepth / 4 / 64>(panel.numbers);
  }
};

/// int4 has few enough numbers to look them up as floats, by the low four bits of a lane.
struct Int4Source {
  static constexpr QuantLayout kLayout = kInt4Layout;
  static constexpr bool kIsMade = true;
  const std::byte* scales;
  const std::byte* numbers;

  static int64_t PanelBytes(int64_t depth) { return kLayout.panel_bytes(depth); }
  Int4Source(const std::byte* panel, int64_t depth)
      : scales(panel), numbers(scales + kLayout.scales_bytes(depth)) {}
  QEFF_INLINE const uint16_t* Next(uint16_t* scratch) {
    const __m512 table = _mm512_setr_ps(-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7);
    const __m512 scale[] = {QuantOps::ScalesFromBf16(scales),
                            QuantOps::ScalesFromBf16(scales + 32)};
    FetchAhead<1>(scales);
    scales += kPanelColumns * kLayout.scale_bytes;
#pragma GCC unroll 8
    for (int64_t k = 0; k < kAmxDepth; k += 4) {
      const __m512i quad = _mm512_loadu_si512(numbers);
      numbers += kLayout.quad_bytes;
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half) {
        __m512 value[4];
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) {
          const __m512i index = _mm512_srli_epi32(quad, 8 * i + 4 * half);
          value[i] = _mm512_mul_ps(_mm512_permutexvar_ps(index, table), scale[half]);
        }
        uint16_t* to = scratch + k * kPanelColumns + half * 32;
        _mm512_storeu_si512(to, PairColumns(RoundToBf16(value[0], value[1])));
        _mm512_storeu_si512(to + 2 * kPanelColumns, PairColumns(RoundToBf16(value[2], value[3])));
      }
    }
    return scratch;
  }
  QEFF_INLINE void Fetch() const {
    FetchFarAhead<kLayout.quad_bytes * kAmxDepth / 4 / 64>(numbers);
  }
};

/// Weights where they are go past the first level, which has to keep the rows: 3 % on a Xeon.
#define QEFF_LOAD_WEIGHTS(tile, from)      \
  do {                                     \
    if constexpr (Source::kIsMade) {       \
      _tile_loadd(tile, from, 128);        \
    } else {                               \
      _tile_stream_loadd(tile, from, 128); \
    }                                      \
  } while (false)

/// sums[s] = the rows by the panel of sources[s], [32][32]. One source if there are two tiles of
/// rows.
template <typename Source, int kSources, bool kIsPair>
QEFF_INLINE void MultiplySources(const LinearArgs& args, Source* sources, float* const* sums) {
  static_assert(kIsPair ? kSources == 1 : kSources <= 2);
  const int64_t first_rows = args.rows < kAmxRows ? args.rows : kAmxRows;
  const auto* first = static_cast<const uint16_t*>(args.x);
  const uint16_t* second = first + kAmxRows * Bf16RowDepth(args.depth);
  alignas(64) uint16_t made[2][kSources][kAmxTile * 2];
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (int64_t k = 0; k < args.depth; k += kAmxDepth) {
    uint16_t(*scratch)[kAmxTile * 2] = made[k / kAmxDepth & 1];
    const uint16_t* w = sources[0].Next(scratch[0]);
    _tile_loadd(4, first, 64);
    first += first_rows * kAmxDepth;
    QEFF_LOAD_WEIGHTS(6, w);
    _tile_dpbf16ps(0, 4, 6);
    QEFF_LOAD_WEIGHTS(7, w + 32);
    _tile_dpbf16ps(1, 4, 7);
    sources[0].Fetch();
    if constexpr (kIsPair) {
      _tile_loadd(5, second, 64);
      second += (args.rows - kAmxRows) * kAmxDepth;
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    } else if constexpr (kSources == 2) {
      w = sources[1].Next(scratch[1]);
      QEFF_LOAD_WEIGHTS(6, w);
      _tile_dpbf16ps(2, 4, 6);
      QEFF_LOAD_WEIGHTS(7, w + 32);
      _tile_dpbf16ps(3, 4, 7);
      sources[1].Fetch();
    }
  }
  constexpr int64_t kStride = kPanelColumns * 4;
  _tile_stored(0, sums[0], kStride);
  _tile_stored(1, sums[0] + 16, kStride);
  if constexpr (kIsPair || kSources == 2) {
    float* other = kIsPair ? sums[0] + kAmxRows * kPanelColumns : sums[1];
    _tile_stored(2, other, kStride);
    _tile_stored(3, other + 16, kStride);
  }
}

#undef QEFF_LOAD_WEIGHTS

/// The panels from `first` on, as in RunStreamPanels.
template <typename Source, int kSources, bool kIsPair>
void RunSources(const LinearArgs& args, int64_t first) {
  constexpr int64_t kSums = kPairRows * kPanelColumns;
  const int64_t unit = args.epilogue == LinearEpilogue::kGated ? 2 : 1;
  const int64_t count = (args.panel_end - first) / (kSources * unit) * unit;
  const int64_t panel_bytes = Source::PanelBytes(args.depth);
  ReportStarts<kSources>(args, first, count, panel_bytes);
  const auto* weights = static_cast<const std::byte*>(args.weights) + first * panel_bytes;
  for (int64_t i = 0; i < count; ++i) {
    float* gate = args.scratch;  // [source][32][32], stays until the sums of up are there
    float* sums[2] = {gate + (i & 1) * 2 * kSums, gate + ((i & 1) * 2 + 1) * kSums};
    Source sources[] = {{weights + i * panel_bytes, args.depth},
                        {weights + ((kSources - 1) * count + i) * panel_bytes, args.depth}};
    MultiplySources<Source, kSources, kIsPair>(args, sources, sums);
    for (int s = 0; s < kSources; ++s) {
      FinishTile(args, first + s * count + i, 0, args.rows, sums[s], gate + s * kSums);
    }
  }
  if constexpr (kSources == 2) RunSources<Source, 1, false>(args, first + 2 * count);
}

template <typename Source>
void RunStreamedAmx(const LinearArgs& args) {
  if (args.rows > kAmxRows) {
    ConfigureTiles(kAmxRows, args.rows - kAmxRows);
    RunSources<Source, 1, true>(args, args.panel_begin);
  } else {
    ConfigureTiles(args.rows, args.rows);  // of two panels
    RunSources<Source, 2, false>(args, args.panel_begin);
  }
  _tile_release();
}

/// bf16 rows by weights in bf16 or quantised.
inline void RunBf16RowsAmx(const LinearArgs& args) {
  if (args.rows > kPairRows) return RunLinearAmx<PackedAmxRows>(args);
  switch (args.weight_format) {
    case WeightFormat::kInt8:
      return RunStreamedAmx<QuantSource<Int8Panel>>(args);
    case WeightFormat::kInt4:
      return RunStreamedAmx<Int4Source>(args);
    case WeightFormat::kMxfp6:
      return RunStreamedAmx<QuantSource<Mxfp6Panel>>(args);
    default:
      return RunStreamedAmx<Bf16Source>(args);
  }
}

/// The same for rows as pack_rows_quant.amx.cpp packs so many of them.
inline void RunBf16RowsAmx(const LinearArgs& args, WeightFormat format) {
  LinearArgs with_format = args;
  with_format.weight_format = format;
  RunBf16RowsAmx(with_format);
}

}  // namespace
}  // namespace qeff::cpu
