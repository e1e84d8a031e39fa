// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Attention over a cache in matrix tiles: queries times keys, and weights times values, are
// products of bf16 with sums in f32; the softmax between them is f32. A unit of 128 query rows goes
// through the cache in blocks of 256 slots, which are rounded to bf16 once for all of its rows and
// laid out as panels of a Linear: keys [E/2][32 slots][2], values [slots/2][32 channels][2].
#pragma once

#include "backends/cpu/kernels/attention_f32_body.h"
#include "backends/cpu/kernels/linear_amx_body.h"

namespace qeff::cpu {
namespace {

constexpr int64_t kUnitPairs = kBf16AttentionRows / kPairRows;

/// What one unit works on.
struct AmxAttention {
  AttentionTile tile;  ///< `rows` and `position` of it are not used
  int64_t rows;
  int64_t position[kBf16AttentionRows];
  int64_t pair_begin[kUnitPairs];  ///< slots that any row of a pair sees
  int64_t pair_end[kUnitPairs];
  float max[kBf16AttentionRows];
  float total[kBf16AttentionRows];
  int64_t key_depth;     ///< E, rounded up to tiles
  int64_t value_stride;  ///< Ev, rounded up to panels
  uint16_t* queries;
  uint16_t* keys;
  uint16_t* values;
  uint16_t* weights;  ///< of 32 rows: [8 blocks of slots][rows of a tile][32] for each tile
  float* scores;      ///< [32][256]
  float* sums;        ///< [128][value_stride]
};

/// 32 columns of one k as floats.
struct LoadedColumns {
  __m512 half[2];
};
template <typename Columns>
QEFF_INLINE LoadedColumns LoadColumns(Columns& columns) {
  const LoadedColumns loaded = {
      {reinterpret_cast<__m512>(columns.Get(0)), reinterpret_cast<__m512>(columns.Get(1))}};
  columns.Next();
  return loaded;
}
constexpr LoadedColumns kZeroColumns = {};

/// Two k as bf16, side by side: out [32][2].
QEFF_INLINE void StorePair(const LoadedColumns& even, const LoadedColumns& odd, uint16_t* out) {
  for (int half = 0; half < 2; ++half) {
    const auto a = reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(even.half[half]));
    const auto b = reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(odd.half[half]));
    const auto wide_a = reinterpret_cast<VecU>(_mm512_maskz_cvtepu16_epi32(0xffff, a));
    const auto wide_b = reinterpret_cast<VecU>(_mm512_maskz_cvtepu16_epi32(0xffff, b));
    _mm512_storeu_si512(out + 32 * half, reinterpret_cast<__m512i>(wide_a | (wide_b << 16)));
  }
}

/// The first `count` k of `columns`, `depth` with zeros after them: out [depth / 2][32][2]. Both
/// are even but for the last.
template <typename Columns>
inline void ConvertColumns(Columns columns, int64_t count, int64_t depth, uint16_t* out) {
  for (int64_t k = 0; k < depth; k += 2) {
    const LoadedColumns even = k < count ? LoadColumns(columns) : kZeroColumns;
    const LoadedColumns odd = k + 1 < count ? LoadColumns(columns) : kZeroColumns;
    StorePair(even, odd, out + k * kPanelColumns);
  }
}

/// `panels` panels of 32 slots from `slot` on.
template <typename Cache>
inline void ConvertKeys(const AttentionArgs& args, const AmxAttention& unit, int64_t slot,
                        int64_t panels) {
  const int64_t slot_bytes = CacheSlotBytes(args.format, args.key_size);
  for (int64_t panel = 0; panel < panels; ++panel) {
    const std::byte* from = unit.tile.keys + (slot + panel * kPanelColumns) * slot_bytes;
    uint16_t* to = unit.keys + panel * unit.key_depth * kPanelColumns;
    for (int64_t e = 0; e < unit.key_depth; e += Cache::kKeyDepth) {
      const int64_t depth =
          unit.key_depth - e < Cache::kKeyDepth ? unit.key_depth - e : Cache::kKeyDepth;
      ConvertColumns(Cache::Keys(from, args.key_size, e), args.key_size - e, depth,
                     to + e * kPanelColumns);
    }
  }
}

/// The same for values; slots from `count` on are zeros, for 0 * NaN is not 0. Columns that a head
/// does not have hold what follows it, and their sums are left out.
template <typename Cache>
inline void ConvertValues(const AttentionArgs& args, const AmxAttention& unit, int64_t slot,
                          int64_t count, int64_t panels) {
  for (int64_t column = 0; column < args.value_size; column += kPanelColumns) {
    CacheScratch scales;
    ConvertColumns(Cache::Values(unit.tile.values, args, slot, count, column, scales), count,
                   panels * kPanelColumns, unit.values + column * kAttentionBlockSlots);
  }
}

/// Where row r of a pair of `count` rows begins in tiles of `depth` k, and how far its blocks of 32
/// k are apart.
struct RowInTiles {
  int64_t offset;
  int64_t step;
};
inline RowInTiles PlaceInTiles(int64_t r, int64_t count, int64_t depth) {
  const int64_t tile = r / kAmxRows * kAmxRows;
  const int64_t rows = count - tile < kAmxRows ? count - tile : kAmxRows;
  return {tile * depth + (r - tile) * kAmxDepth, rows * kAmxDepth};
}
QEFF_INLINE AmxRows TilesOf(const uint16_t* x, int64_t count, int64_t depth) {
  const int64_t first = count < kAmxRows ? count : kAmxRows;
  return {.first = x,
          .second = x + kAmxRows * depth,
          .first_step = first * kAmxDepth,
          .second_step = (count - first) * kAmxDepth,
          .part_step = 0};
}

inline int64_t RowsOfPair(const AmxAttention& unit, int64_t pair) {
  const int64_t left = unit.rows - pair * kPairRows;
  return left < kPairRows ? left : kPairRows;
}

inline void PackAmxQueries(const AttentionArgs& args, const AmxAttention& unit) {
  for (int64_t r = 0; r < unit.rows; ++r) {
    const int64_t pair = r / kPairRows;
    const RowInTiles in_tiles = PlaceInTiles(r % kPairRows, RowsOfPair(unit, pair), unit.key_depth);
    uint16_t* out = unit.queries + pair * kPairRows * unit.key_depth + in_tiles.offset;
    const RowPlace place = PlaceOfRow(args, unit.tile, r);
    const float* q = args.q + place.row * args.q_stride + place.head * args.key_size;
    const __m512 scale = _mm512_set1_ps(args.scale);
    for (int64_t e = 0; e < unit.key_depth; e += kAmxDepth, out += in_tiles.step) {
      const int64_t left = args.key_size - e;
      const uint32_t mask = left >= kAmxDepth ? ~0U : (1U << left) - 1;
      const __m512 low = _mm512_maskz_loadu_ps(static_cast<__mmask16>(mask), q + e);
      const __m512 high = _mm512_maskz_loadu_ps(static_cast<__mmask16>(mask >> 16), q + e + 16);
      _mm512_storeu_si512(out, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(
                                   _mm512_mul_ps(high, scale), _mm512_mul_ps(low, scale))));
    }
  }
}

/// e^x for x <= 0, relative error below 4e-6, which bf16 does not see: 2^n times the Taylor series
/// of 2^f to f^5, |f| <= 1/2.
QEFF_INLINE __m512 ExpForBf16(__m512 x) {
  const __m512 t = _mm512_mul_ps(x, _mm512_set1_ps(1.44269504f));
  const __m512 n = _mm512_maskz_roundscale_ps(0xffff, t, 0);
  const __m512 f = _mm512_sub_ps(t, n);
  __m512 p = _mm512_set1_ps(1.33335581e-3f);
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(9.61812911e-3f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(5.55041087e-2f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.240226507f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.693147181f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.0f));
  return _mm512_maskz_scalef_ps(0xffff, p, n);
}

/// The slots of a block, and those of them that a row sees.
struct SlotRange {
  int64_t first;  ///< multiples of 32
  int64_t last;
  int64_t low;
  int64_t high;
};
QEFF_INLINE __mmask16 SeenLanes(int64_t j, const SlotRange& range) {
  const int64_t from = range.low > j ? range.low - j : 0;
  const int64_t to = range.high - j < 16 ? range.high - j : 16;
  if (from >= to) return 0;
  return static_cast<__mmask16>(((1U << to) - 1) & ~((1U << from) - 1));
}

/// Writes e^(score - max) of the slots of a row to `out`, in tiles, zeros where it does not see;
/// returns their sum. `max` is the row's maximum so far and is updated.
inline float WeighRow(const float* scores, const SlotRange& range, float* max, uint16_t* out,
                      int64_t step) {
  const __m512 lowest = _mm512_set1_ps(-__builtin_inff());
  __m512 largest = _mm512_set1_ps(*max);
  for (int64_t j = range.first; j < range.last; j += 16) {
    const __mmask16 seen = SeenLanes(j, range);
    const __m512 value = _mm512_mask_loadu_ps(lowest, seen, scores + j);
    largest = _mm512_mask_mov_ps(largest, _mm512_cmp_ps_mask(value, largest, _CMP_GT_OQ), value);
  }
  *max = MaxLane(largest);
  const __m512 shift = _mm512_set1_ps(*max);
  __m512 sum = _mm512_setzero_ps();
  for (int64_t j = range.first; j < range.last; j += kAmxDepth, out += step) {
    __m512 weights[2];
    for (int half = 0; half < 2; ++half) {
      const __mmask16 seen = SeenLanes(j + 16 * half, range);
      const __m512 value = _mm512_maskz_loadu_ps(seen, scores + j + 16 * half);
      weights[half] = _mm512_maskz_mov_ps(seen, ExpForBf16(_mm512_sub_ps(value, shift)));
      sum = _mm512_add_ps(sum, weights[half]);
    }
    _mm512_storeu_si512(out,
                        reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(weights[1], weights[0])));
  }
  return SumLanes(sum);
}

/// Softmax of row r of the unit over the slots of a block that begins at `begin`.
inline void WeighBlock(const AttentionArgs& args, AmxAttention& unit, int64_t r, int64_t begin,
                       SlotRange range) {
  const int64_t position = unit.position[r];
  const int64_t oldest = position < 0 ? 0 : OldestSeen(args, position);
  range.low = oldest > begin ? oldest - begin : 0;
  range.high = position + 1 - begin < range.last ? position + 1 - begin : range.last;
  const RowInTiles in_tiles =
      PlaceInTiles(r % kPairRows, RowsOfPair(unit, r / kPairRows), kAttentionBlockSlots);
  uint16_t* out = unit.weights + in_tiles.offset;
  if (range.low >= range.high) {
    for (int64_t j = range.first; j < range.last; j += kAmxDepth, out += in_tiles.step) {
      _mm512_storeu_si512(out, _mm512_setzero_si512());
    }
    return;
  }
  float* scores = unit.scores + r % kPairRows * kAttentionBlockSlots;
  if (args.alibi_slopes != nullptr) {
    AddAlibi(args, args.alibi_slopes[PlaceOfRow(args, unit.tile, r).head], begin + range.first,
             range.last - range.first, scores + range.first);
  } else if (args.softcap > 0) {
    for (int64_t j = range.first; j < range.last; j += kLanes) {
      Store(scores + j, CapScores(Load(scores + j), args.softcap));
    }
  }
  const float old_max = unit.max[r];
  const float sum = WeighRow(scores, range, &unit.max[r], out, in_tiles.step);
  if (unit.total[r] != 0 && unit.max[r] != old_max) {
    const float factor = __builtin_expf(old_max - unit.max[r]);
    unit.total[r] *= factor;
    float* sums = unit.sums + r * unit.value_stride;
    for (int64_t c = 0; c < unit.value_stride; ++c) sums[c] *= factor;
  }
  unit.total[r] += sum;
}

/// sums (+)= the rows by `depth` k of a panel. The next panel meets the same rows, so they stay.
inline void MultiplyRowsOfPair(const AmxRows& rows, int64_t count, const uint16_t* panel,
                               int64_t depth, bool accumulate, const AmxSums& sums) {
  AmxFetch none = {nullptr, 0};
  if (count > kAmxRows) {
    MultiplyTiles<1, true, false>(rows, panel, depth, accumulate, none, sums);
  } else {
    MultiplyTiles<1, false, false>(rows, panel, depth, accumulate, none, sums);
  }
}

/// One pair of row tiles over the slots of a block that begins at `begin` and has `count`.
inline void AddPair(const AttentionArgs& args, AmxAttention& unit, int64_t pair, int64_t begin,
                    int64_t count) {
  SlotRange range = {};
  if (unit.pair_begin[pair] > begin) {
    range.first = (unit.pair_begin[pair] - begin) / kPanelColumns * kPanelColumns;
  }
  const int64_t end = unit.pair_end[pair] - begin < count ? unit.pair_end[pair] - begin : count;
  if (range.first >= end) return;
  range.last = PanelCount(end) * kPanelColumns;
  const int64_t rows = RowsOfPair(unit, pair);
  if (rows < kPairRows) ConfigureTiles(rows);
  const AmxRows queries =
      TilesOf(unit.queries + pair * kPairRows * unit.key_depth, rows, unit.key_depth);
  for (int64_t j = range.first; j < range.last; j += kPanelColumns) {
    MultiplyRowsOfPair(queries, rows, unit.keys + j * unit.key_depth, unit.key_depth, false,
                       {unit.scores + j, kAttentionBlockSlots});
  }
  for (int64_t r = 0; r < rows; ++r) WeighBlock(args, unit, pair * kPairRows + r, begin, range);
  const AmxRows weights = TilesOf(unit.weights, rows, kAttentionBlockSlots);
  for (int64_t column = 0; column < unit.value_stride; column += kPanelColumns) {
    MultiplyRowsOfPair(
        weights, rows, unit.values + column * kAttentionBlockSlots + range.first * kPanelColumns,
        range.last - range.first, true,
        {unit.sums + pair * kPairRows * unit.value_stride + column, unit.value_stride});
  }
  if (rows < kPairRows) ConfigureTiles(kPairRows);
}

/// Positions and what pairs of row tiles see.
inline void BeginUnit(const AttentionArgs& args, int64_t index, AmxAttention& unit) {
  unit.tile = MakeTile(args, index, kBf16AttentionRows, 0);
  const int64_t group = args.heads / args.kv_heads;
  const int64_t left = args.tokens * group - unit.tile.first_row;
  unit.rows = left < kBf16AttentionRows ? left : kBf16AttentionRows;
  unit.tile.begin = args.slots;
  unit.tile.end = 0;
  for (int64_t pair = 0; pair < kUnitPairs; ++pair) {
    unit.pair_begin[pair] = args.slots;
    unit.pair_end[pair] = 0;
  }
  for (int64_t r = 0; r < unit.rows; ++r) {
    unit.max[r] = -__builtin_inff();
    unit.total[r] = 0;
    const int64_t token = (unit.tile.first_row + r) / group;
    int64_t position = args.positions[unit.tile.batch * args.tokens + token];
    if (position >= args.slots) position = args.slots - 1;
    unit.position[r] = position;
    if (position < 0) continue;
    const int64_t oldest = OldestSeen(args, position);
    int64_t& begin = unit.pair_begin[r / kPairRows];
    int64_t& end = unit.pair_end[r / kPairRows];
    if (oldest < begin) begin = oldest;
    if (position + 1 > end) end = position + 1;
    if (begin < unit.tile.begin) unit.tile.begin = begin;
    if (end > unit.tile.end) unit.tile.end = end;
  }
  for (int64_t i = 0; i < unit.rows * unit.value_stride; ++i) unit.sums[i] = 0;
  PackAmxQueries(args, unit);
}

inline void WriteUnit(const AttentionArgs& args, const AmxAttention& unit) {
  for (int64_t r = 0; r < unit.rows; ++r) {
    const RowPlace place = PlaceOfRow(args, unit.tile, r);
    float* out = args.out + place.row * args.out_stride + place.head * args.value_size;
    const float* sums = unit.sums + r * unit.value_stride;
    const float factor = RowFactor(args, place.head, unit.max[r], unit.total[r]);
    for (int64_t e = 0; e < args.value_size; ++e) out[e] = sums[e] * factor;
  }
}

template <typename Cache>
inline void RunUnitsAmx(const AttentionArgs& args) {
  AmxAttention unit;
  unit.key_depth = Bf16RowDepth(args.key_size);
  unit.value_stride = PanelCount(args.value_size) * kPanelColumns;
  unit.scores = args.scratch;
  unit.sums = unit.scores + kPairRows * kAttentionBlockSlots;
  unit.weights = reinterpret_cast<uint16_t*>(unit.sums + kBf16AttentionRows * unit.value_stride);
  unit.queries = unit.weights + kPairRows * kAttentionBlockSlots;
  unit.keys = unit.queries + kBf16AttentionRows * unit.key_depth;
  unit.values = unit.keys + kAttentionBlockSlots * unit.key_depth;
  ConfigureTiles(kPairRows);
  for (int64_t index = args.unit_begin; index < args.unit_end; ++index) {
    BeginUnit(args, index, unit);
    int64_t begin = unit.tile.begin - unit.tile.begin % kPanelColumns;
    for (; begin < unit.tile.end; begin += kAttentionBlockSlots) {
      const int64_t left = unit.tile.end - begin;
      const int64_t count = left < kAttentionBlockSlots ? left : kAttentionBlockSlots;
      ConvertKeys<Cache>(args, unit, begin, PanelCount(count));
      ConvertValues<Cache>(args, unit, begin, count, PanelCount(count));
      for (int64_t pair = 0; pair * kPairRows < unit.rows; ++pair) {
        AddPair(args, unit, pair, begin, count);
      }
    }
    WriteUnit(args, unit);
  }
  _tile_release();
}

inline void RunAttentionAmx(const AttentionArgs& args) {
  switch (args.format) {
    case CacheFormat::kF32:
      return RunUnitsAmx<PlainCache<float>>(args);
    case CacheFormat::kBf16:
      return RunUnitsAmx<PlainCache<Bf16Element>>(args);
    case CacheFormat::kF16:
      return RunUnitsAmx<PlainCache<F16Element>>(args);
    case CacheFormat::kMxint8:
      return RunUnitsAmx<Mxint8Cache>(args);
  }
}

}  // namespace
}  // namespace qeff::cpu
