// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Attention of one text to itself in matrix tiles: both products are of bf16 with sums in f32, the
// softmax between them is f32. Keys and values of the text are converted once; then 32 queries at a
// time meet all of them, and their scores never leave the first cache levels: the weights take
// their places.
#pragma once

#include "backends/cpu/kernels/linear_amx_body.h"
#include "backends/cpu/kernels/packed_attention_body.h"
#include "backends/cpu/kernels/tile_bf16.h"

namespace qeff::cpu {
namespace {

/// Pointers into scratch. Tiles of left operands always have 16 rows; what is in those that are too
/// many does not matter.
struct AmxTextScratch {
  float* scores;      ///< [32][score_stride]; after the softmax, bf16 weights at the start of a row
  float* sums;        ///< [32][sum_stride]
  uint16_t* queries;  ///< two tiles of rows, each [key_depth / 32][16][32]
  uint16_t* keys;     ///< panels of 32 rows, each [key_depth / 2][32][2]
  uint16_t* values;   ///< panels of 32 channels, each [columns / 2][32][2]
  int64_t columns;    ///< rows of the text, in whole panels
  int64_t score_stride;
  int64_t key_depth;
  int64_t sum_stride;
};

inline AmxTextScratch DivideAmxScratch(const PackedAttentionArgs& args) {
  AmxTextScratch scratch;
  scratch.columns = PanelCount(args.row_end - args.row_begin) * kPanelColumns;
  scratch.key_depth = Bf16RowDepth(args.key_size);
  scratch.sum_stride = PanelCount(args.value_size) * kPanelColumns;
  scratch.scores = args.scratch;
  scratch.score_stride = AmxScoreStride(scratch.columns);
  scratch.sums = scratch.scores + kPairRows * scratch.score_stride;
  scratch.queries = reinterpret_cast<uint16_t*>(scratch.sums + kPairRows * scratch.sum_stride);
  scratch.keys = scratch.queries + kPairRows * scratch.key_depth;
  scratch.values = scratch.keys + scratch.columns * scratch.key_depth;
  return scratch;
}

/// 32 of `size` channels from `channel` on, times `scale`, as bf16; zeros where there are none.
QEFF_INLINE __m512i LoadChannels(const float* row, int64_t channel, int64_t size, __m512 scale) {
  const int64_t left = size - channel;
  const uint32_t mask = left >= kAmxDepth ? ~0U : (1U << left) - 1;
  const __m512 low = _mm512_maskz_loadu_ps(static_cast<__mmask16>(mask), row + channel);
  const __m512 high = _mm512_maskz_loadu_ps(static_cast<__mmask16>(mask >> 16), row + channel + 16);
  return RoundToBf16(_mm512_mul_ps(low, scale), _mm512_mul_ps(high, scale));
}

inline void PackAmxKeys(const PackedAttentionArgs& args, const AmxTextScratch& scratch) {
  const int64_t rows = args.row_end - args.row_begin;
  const __m512 one = _mm512_set1_ps(1.0f);
  for (int64_t first = 0; first < scratch.columns; first += kAmxRows) {
    uint16_t* panel = scratch.keys + first / kPanelColumns * kPanelColumns * scratch.key_depth +
                      first % kPanelColumns * 2;
    for (int64_t e = 0; e < scratch.key_depth; e += kAmxDepth) {
      __m512i block[kAmxRows];
      for (int64_t r = 0; r < kAmxRows; ++r) {
        const float* k = args.k + (args.row_begin + first + r) * args.k_stride;
        block[r] =
            first + r < rows ? LoadChannels(k, e, args.key_size, one) : _mm512_setzero_si512();
      }
      Transpose16(block);
      for (int64_t i = 0; i < kAmxRows; ++i) {
        _mm512_storeu_si512(panel + (e / 2 + i) * kPanelColumns * 2, block[i]);
      }
    }
  }
}

/// Rows after the last are zeros, for 0 * NaN is not 0.
inline void PackAmxValues(const PackedAttentionArgs& args, const AmxTextScratch& scratch) {
  const int64_t rows = args.row_end - args.row_begin;
  for (int64_t channel = 0; channel < args.value_size; channel += kAmxRows) {
    const int64_t left = args.value_size - channel;
    const auto mask = static_cast<__mmask16>(left >= kAmxRows ? 0xffff : (1 << left) - 1);
    uint16_t* panel = scratch.values + channel / kPanelColumns * kPanelColumns * scratch.columns +
                      channel % kPanelColumns * 2;
    const float* v = args.v + args.row_begin * args.v_stride + channel;
    for (int64_t j = 0; j < scratch.columns; j += 2) {
      const __mmask16 has_even = j < rows ? mask : 0;
      const __mmask16 has_odd = j + 1 < rows ? mask : 0;
      const __m512 even = _mm512_maskz_loadu_ps(has_even, v + j * args.v_stride);
      const __m512 odd = _mm512_maskz_loadu_ps(has_odd, v + (j + 1) * args.v_stride);
      _mm512_storeu_si512(panel + j * kPanelColumns, PairColumns(RoundToBf16(even, odd)));
    }
  }
}

/// `count` queries from row `first` on, times scale.
inline void PackAmxTextQueries(const PackedAttentionArgs& args, const AmxTextScratch& scratch,
                               int64_t first, int64_t count) {
  const __m512 scale = _mm512_set1_ps(args.scale);
  for (int64_t r = 0; r < count; ++r) {
    const float* q = args.q + (args.row_begin + first + r) * args.q_stride;
    uint16_t* out =
        scratch.queries + r / kAmxRows * kAmxRows * scratch.key_depth + r % kAmxRows * kAmxDepth;
    for (int64_t e = 0; e < scratch.key_depth; e += kAmxDepth) {
      _mm512_storeu_si512(out + e * kAmxRows, LoadChannels(q, e, args.key_size, scale));
    }
  }
}

/// One or two tiles of 16 rows by 32 k each. Counts are elements.
struct AmxTextRows {
  const uint16_t* first;
  int64_t row_step;   ///< from a row to the next
  int64_t k_step;     ///< from one block of 32 k to the next
  int64_t tile_step;  ///< from the first 16 rows to the others
};

/// sums [32][32] = the rows by `depth` k of a panel.
template <bool kIsPair>
inline void MultiplyTextTiles(const AmxTextRows& rows, const uint16_t* panel, int64_t depth,
                              const AmxSums& sums) {
  _tile_zero(0);
  _tile_zero(1);
  if constexpr (kIsPair) {
    _tile_zero(2);
    _tile_zero(3);
  }
  const uint16_t* from = rows.first;
  for (int64_t k = 0; k < depth; k += kAmxDepth, from += rows.k_step) {
    _tile_loadd(6, panel + k * kPanelColumns, 128);
    _tile_loadd(7, panel + k * kPanelColumns + 32, 128);
    _tile_loadd(4, from, rows.row_step * 2);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    if constexpr (kIsPair) {
      _tile_loadd(5, from + rows.tile_step, rows.row_step * 2);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
  }
  const int64_t stride = sums.stride * 4;
  _tile_stored(0, sums.data, stride);
  _tile_stored(1, sums.data + 16, stride);
  if constexpr (kIsPair) {
    float* below = sums.data + kAmxRows * sums.stride;
    _tile_stored(2, below, stride);
    _tile_stored(3, below + 16, stride);
  }
}

/// e^(x - max) of vectors side by side, x <= max: 1 - 1e-6 at x == max, however large both are; 0
/// where x - max < -87.3; NaN stays NaN. Of x - max in f32 the relative error is below 4e-6 down to
/// -20 and below 7e-6 further on, which bf16 does not see. 2^n times the minimax polynomial of
/// degree 4 of 2^f, |f| <= 1/2.
template <int kCount>
QEFF_INLINE void ExpOfScores(__m512 (&x)[kCount], __m512 max) {
  const __m512 log2_e = _mm512_set1_ps(1.44269504f);
  const __m512 round = _mm512_set1_ps(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer
  __m512 shifted[kCount];
  __mmask16 is_normal[kCount];
  __m512 p[kCount];
#pragma GCC unroll 4
  for (int i = 0; i < kCount; ++i) {
    x[i] = _mm512_mul_ps(_mm512_sub_ps(x[i], max), log2_e);
    shifted[i] = _mm512_add_ps(x[i], round);
  }
#pragma GCC unroll 4
  for (int i = 0; i < kCount; ++i) {
    is_normal[i] = _mm512_cmp_ps_mask(x[i], _mm512_set1_ps(-126.0f), _CMP_NLT_UQ);
    x[i] = _mm512_sub_ps(x[i], _mm512_sub_ps(shifted[i], round));
    p[i] = _mm512_set1_ps(9.5701019e-3f);
  }
  constexpr float kFactors[] = {5.5917860e-2f, 0.24024745f, 0.69312181f, 0.99999926f};
#pragma GCC unroll 4
  for (const float factor : kFactors) {
#pragma GCC unroll 4
    for (int i = 0; i < kCount; ++i) p[i] = _mm512_fmadd_ps(p[i], x[i], _mm512_set1_ps(factor));
  }
#pragma GCC unroll 4
  for (int i = 0; i < kCount; ++i) {
    const __m512i exponent = _mm512_slli_epi32(_mm512_castps_si512(shifted[i]), 23);
    x[i] = _mm512_castsi512_ps(
        _mm512_maskz_add_epi32(is_normal[i], _mm512_castps_si512(p[i]), exponent));
  }
}

/// Replaces 16 * kCount scores by what ExpOfScores makes of them, as bf16 at `out`, which may lie
/// before them; adds it to `sum`.
template <int kCount>
QEFF_INLINE void WeighRun(const float* scores, __m512 max, uint16_t* out, __m512 (&sum)[2]) {
  __m512 x[kCount];
#pragma GCC unroll 4
  for (int i = 0; i < kCount; ++i) x[i] = _mm512_loadu_ps(scores + 16 * i);
  ExpOfScores(x, max);
#pragma GCC unroll 2
  for (int i = 0; i < kCount; i += 2) {
    sum[0] = _mm512_add_ps(sum[0], x[i]);
    sum[1] = _mm512_add_ps(sum[1], x[i + 1]);
    _mm512_storeu_si512(out + 16 * i, RoundToBf16(x[i], x[i + 1]));
  }
}

/// Writes e^(score - max) of `columns` scores, a multiple of 32, to `out`, as WeighRun; returns
/// their sum.
inline float WeighScores(const float* scores, int64_t columns, uint16_t* out) {
  __m512 largest[2] = {_mm512_loadu_ps(scores), _mm512_loadu_ps(scores + 16)};
  for (int64_t j = 32; j < columns; j += 32) {
    largest[0] = _mm512_max_ps(_mm512_loadu_ps(scores + j), largest[0]);
    largest[1] = _mm512_max_ps(_mm512_loadu_ps(scores + j + 16), largest[1]);
  }
  const __m512 max = _mm512_set1_ps(_mm512_reduce_max_ps(_mm512_max_ps(largest[0], largest[1])));
  __m512 sum[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
  int64_t j = 0;
  for (; j + 64 <= columns; j += 64) WeighRun<4>(scores + j, max, out + j, sum);
  if (j < columns) WeighRun<2>(scores + j, max, out + j, sum);
  return _mm512_reduce_add_ps(_mm512_add_ps(sum[0], sum[1]));
}

/// The rows [first, first + count) of a text, count <= 32; all of them if kIsPair, else <= 16.
template <bool kIsPair>
inline void AttendRows(const PackedAttentionArgs& args, const AmxTextScratch& scratch,
                       int64_t first, int64_t count, SeenRows* seen) {
  PackAmxTextQueries(args, scratch, first, count);
  SeenRows of_row[kPairRows];
  for (int64_t r = 0; r < count; ++r) of_row[r] = *seen = RowsSeenBy(args, first + r, *seen);
  const int64_t begin = of_row[0].begin / kPanelColumns * kPanelColumns;
  const int64_t end = PanelCount(seen->end) * kPanelColumns;
  for (int64_t c = begin; c < end; c += kPanelColumns) {
    MultiplyTextTiles<kIsPair>(
        {scratch.queries, kAmxDepth, kAmxRows * kAmxDepth, kAmxRows * scratch.key_depth},
        scratch.keys + c * scratch.key_depth, scratch.key_depth,
        {scratch.scores + c, scratch.score_stride});
  }
  float factor[kPairRows];
  for (int64_t r = 0; r < count; ++r) {
    float* scores = scratch.scores + r * scratch.score_stride;
    FinishScores(args, first + r, of_row[r], {begin, end}, scores);
    factor[r] =
        1.0f / WeighScores(scores + begin, end - begin, reinterpret_cast<uint16_t*>(scores));
  }
  for (int64_t c = 0; c < scratch.sum_stride; c += kPanelColumns) {
    MultiplyTextTiles<kIsPair>(
        {reinterpret_cast<const uint16_t*>(scratch.scores), 2 * scratch.score_stride, kAmxDepth,
         2 * kAmxRows * scratch.score_stride},
        scratch.values + c * scratch.columns + begin * kPanelColumns, end - begin,
        {scratch.sums + c, scratch.sum_stride});
  }
  for (int64_t r = 0; r < count; ++r) {
    float* out = args.out + (args.row_begin + first + r) * args.out_stride;
    const float* sums = scratch.sums + r * scratch.sum_stride;
    int64_t e = 0;
    for (; e + kLanes <= args.value_size; e += kLanes) Store(out + e, Load(sums + e) * factor[r]);
    for (; e < args.value_size; ++e) out[e] = sums[e] * factor[r];
  }
}

inline void RunPackedAttentionAmx(const PackedAttentionArgs& args) {
  const AmxTextScratch scratch = DivideAmxScratch(args);
  const int64_t rows = args.row_end - args.row_begin;
  PackAmxKeys(args, scratch);
  PackAmxValues(args, scratch);
  ConfigureTiles(kPairRows);
  SeenRows seen = {0, 0};
  for (int64_t first = 0; first < rows; first += kPairRows) {
    const int64_t count = rows - first < kPairRows ? rows - first : kPairRows;
    if (count > kAmxRows) {
      AttendRows<true>(args, scratch, first, count, &seen);
    } else {
      AttendRows<false>(args, scratch, first, count, &seen);
    }
  }
  _tile_release();
}

}  // namespace
}  // namespace qeff::cpu
