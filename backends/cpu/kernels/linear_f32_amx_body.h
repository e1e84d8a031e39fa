// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Linear with f32 or f16 weights and f32 rows by matrix tiles of bf16. Rounded to bf16, then the
// rest rounded, then the rest of that, a number is the sum of three bf16 parts exactly: x = x1 + x2
// + x3, |x2| <= 2^-8 |x|, |x3| <= 2^-16 |x|. Of the nine products of two such numbers
//   x1 w1 + (x1 w2 + x2 w1) + (x1 w3 + x2 w2 + x3 w1)
// are computed; the three that are left out come to less than 2^-23 |x w|, typically 2^-26, which
// is what rounding one product to f32 leaves out. The tiles add in f32: twelve roundings of a sum
// for 32 k, where fused multiply-adds have 32.
//
// Panels meet a block of rows kSplitDepth k at a time. While they do, the vector unit, which the
// tiles leave idle, cuts the next k of rows and weights into parts and finishes sums. A sum that is
// not finite is computed again in fused multiply-adds: numbers that have no such parts (NaN,
// infinity, and what rounding makes infinite) end there. Numbers below 2^-110 lose bits.
//
// With few rows splitting the weights takes longer than tiles gain (IsFasterUnsplit). Rows are as
// PackRowsF32Amx leaves them: row-major.
#pragma once

#include <utility>

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
/// Steps between the products of 32 k.
constexpr int64_t kSplitSteps = 3;

/// Units for each of `steps`.
constexpr int64_t Share(int64_t units, int64_t steps) {
  return (units + steps - 1) / (steps > 0 ? steps : 1);
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

/// Cuts rows into parts, for each 32 rows [ceil(depth / 32)][3][2][16][32], some at a time.
class RowSplitter {
 public:
  /// `depth` k of `count` rows, x_stride apart.
  void Set(const float* x, int64_t x_stride, int64_t count, int64_t depth, uint16_t* parts) {
    x_ = x;
    x_stride_ = x_stride;
    depth_ = depth;
    parts_ = parts;
    blocks_ = Bf16RowDepth(depth) / kAmxDepth;
    row_ = 0;
    block_ = 0;
    left_ = count * blocks_;
  }
  int64_t left() const { return left_; }
  /// Up to `count` times 32 k of a row.
  QEFF_INLINE void Run(int64_t count) {
    constexpr int64_t kRowsAhead = 8;
    if (count > left_) count = left_;
    left_ -= count;
    for (; count > 0; --count) {
      const int64_t k = block_ * kAmxDepth;
      const int64_t left = depth_ - k;
      const uint32_t mask = left >= kAmxDepth ? ~0U : (1U << left) - 1;
      const float* from = x_ + row_ * x_stride_ + k;
      uint16_t* out = parts_ + (row_ / kPairRows * blocks_ + block_) * kSplitRowsStep +
                      row_ % kPairRows / kAmxRows * kAmxTile + row_ % kAmxRows * kAmxDepth;
      _mm_prefetch(from + kRowsAhead * x_stride_, _MM_HINT_T0);
      _mm_prefetch(from + kRowsAhead * x_stride_ + 16, _MM_HINT_T0);
      __m512 low = _mm512_maskz_loadu_ps(static_cast<__mmask16>(mask), from);
      __m512 high = _mm512_maskz_loadu_ps(static_cast<__mmask16>(mask >> 16), from + 16);
#pragma GCC unroll 3
      for (int part = 0; part < kSplitParts; ++part) {
        _mm512_storeu_si512(out + part * 2 * kAmxTile, TakePart(low, high));
      }
      if (++block_ == blocks_) {
        block_ = 0;
        ++row_;
      }
    }
  }

 private:
  const float* x_ = nullptr;
  int64_t x_stride_ = 0;
  int64_t depth_ = 0;
  int64_t blocks_ = 0;
  uint16_t* parts_ = nullptr;
  int64_t row_ = 0;
  int64_t block_ = 0;
  int64_t left_ = 0;
};

/// Cuts weights of a panel into parts, [ceil(depth / 32)][3][16][32][2], some at a time.
template <typename Weight>
class WeightSplitter {
 public:
  void Set(const Weight* panel, int64_t depth, uint16_t* parts) {
    panel_ = panel;
    depth_ = depth;
    parts_ = parts;
    k_ = 0;
    left_ = Bf16RowDepth(depth) / 2;
  }
  int64_t left() const { return left_; }
  /// Up to `count` times two k.
  QEFF_INLINE void Run(int64_t count) {
    if (count > left_) count = left_;
    left_ -= count;
    const __m512 zero = _mm512_setzero_ps();
    for (; count > 0; --count, k_ += 2) {
      uint16_t* out = parts_ + k_ / kAmxDepth * kSplitWeightsStep + k_ % kAmxDepth * kPanelColumns;
      const Weight* from = panel_ + k_ * kPanelColumns;
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half, out += kPanelColumns, from += 16) {
        __m512 even = k_ < depth_ ? reinterpret_cast<__m512>(LoadElement(from)) : zero;
        __m512 odd =
            k_ + 1 < depth_ ? reinterpret_cast<__m512>(LoadElement(from + kPanelColumns)) : zero;
#pragma GCC unroll 3
        for (int part = 0; part < kSplitParts; ++part) {
          _mm512_storeu_si512(out + part * kSplitWeightsPart, PairColumns(TakePart(even, odd)));
        }
      }
    }
  }

 private:
  const Weight* panel_ = nullptr;
  int64_t depth_ = 0;
  uint16_t* parts_ = nullptr;
  int64_t k_ = 0;
  int64_t left_ = 0;
};

/// Weights as stored, for RepairSums.
template <typename Weight>
struct PlainWeights {
  static void Multiply(const LinearArgs& args, int64_t panel, int64_t row, float* sums) {
    RowsTileF32<1, 0, Weight>(
        static_cast<const float*>(args.x) + row * args.depth, args.depth,
        static_cast<const Weight*>(args.weights) + panel * args.depth * kPanelColumns,
        kPanelColumns, args.depth, sums, kPanelColumns, false);
  }
};

/// What happens between the products.
template <typename Weight>
struct SplitBetween {
  RowSplitter rows;
  WeightSplitter<Weight> weights;
  PendingSums<RepairSums<PlainWeights<Weight>>> pending;
  AmxFetch fetch;         ///< of weights
  const char* next_sums;  ///< of the 32 rows after these
  int64_t rows_per_step;
  int64_t weights_per_step;
  int64_t finish_per_step;
  QEFF_INLINE void Step() {
    constexpr int kSumLines = 6;  // 64 in 12 steps
    for (int i = 0; i < kSumLines; ++i) _mm_prefetch(next_sums + i * 64, _MM_HINT_T0);
    next_sums += kSumLines * 64;
    fetch.Step();
    pending.Finish(finish_per_step);
    weights.Run(weights_per_step);
    rows.Run(rows_per_step);
  }
};

/// Tiles 4 and 5 = a part of 32 rows, which do not meet these weights again; tiles 6 and 7 = one of
/// the weights.
template <bool kIsPair>
QEFF_INLINE void LoadSplitRows(const uint16_t* rows, int part) {
  _tile_stream_loadd(4, rows + part * 2 * kAmxTile, 64);
  if constexpr (kIsPair) _tile_stream_loadd(5, rows + part * 2 * kAmxTile + kAmxTile, 64);
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

/// sums [32][32] (+)= the products of 32 rows, or 16, by `blocks` times 32 k of a panel. In an
/// order that loads each part of the rows once, and little else.
template <bool kIsPair, typename Between>
inline void MultiplySplit(const uint16_t* rows, const uint16_t* weights, int64_t blocks,
                          bool accumulate, Between& between, float* sums) {
  LoadSums<kIsPair>(accumulate, {sums, kPanelColumns});
  for (int64_t block = 0; block < blocks; ++block) {
    LoadSplitRows<kIsPair>(rows, 2);
    LoadSplitWeights(weights, 0);
    AddSplitProducts<kIsPair>();
    LoadSplitRows<kIsPair>(rows, 1);
    AddSplitProducts<kIsPair>();
    between.Step();
    LoadSplitWeights(weights, 1);
    AddSplitProducts<kIsPair>();
    LoadSplitRows<kIsPair>(rows, 0);
    AddSplitProducts<kIsPair>();
    between.Step();
    LoadSplitWeights(weights, 2);
    AddSplitProducts<kIsPair>();
    LoadSplitWeights(weights, 0);
    AddSplitProducts<kIsPair>();
    between.Step();
    rows += kSplitRowsStep;
    weights += kSplitWeightsStep;
  }
  StoreSums<kIsPair>({sums, kPanelColumns});
}

/// kSplitDepth k of a panel that meet a block of rows.
struct SplitPlace {
  int64_t begin;  ///< rows
  int64_t end;
  int64_t first;  ///< panels whose sums are kept side by side
  int64_t last;
  int64_t k;
  int64_t depth;
  int64_t panel;
};

/// The order of places: panels, then k, then further panels, then rows. How a product is cut up
/// depends on its sizes only, so that every thread adds in the same order.
class SplitOrder {
 public:
  explicit SplitOrder(const LinearArgs& args) : args_(args) {
    constexpr int64_t kRowBytes = 2 * kSplitDepth * kSplitParts * 2;  // of this k and the next
    constexpr int64_t kMostRows = kAmxRowBytes / kRowBytes / kPairRows * kPairRows;
    const int64_t count = (args.rows + kMostRows - 1) / kMostRows;  // of even size
    rows_ = ((args.rows + count - 1) / count + kPairRows - 1) / kPairRows * kPairRows;
    panels_ = (kAmxStripFloats - 2 * kSplitWeightsFloats) / strip_floats() / 2 * 2;
  }
  int64_t rows() const { return rows_; }      ///< of a block, a multiple of 32
  int64_t panels() const { return panels_; }  ///< even: gate and up stay together
  int64_t strip_floats() const { return rows_ * kPanelColumns; }

  SplitPlace First() const { return At(0, args_.panel_begin, 0); }
  /// begin == args.rows at the end.
  SplitPlace Next(SplitPlace place) const {
    if (++place.panel < place.last) return place;
    return NextRows(place);
  }
  /// The next place with other rows or another k of them.
  SplitPlace NextRows(const SplitPlace& place) const {
    const int64_t k = place.k + place.depth;
    if (k < args_.depth) return At(place.begin, place.first, k);
    if (place.last < args_.panel_end) return At(place.begin, place.last, 0);
    return At(place.end, args_.panel_begin, 0);
  }

 private:
  SplitPlace At(int64_t begin, int64_t first, int64_t k) const {
    return {.begin = begin,
            .end = args_.rows - begin < rows_ ? args_.rows : begin + rows_,
            .first = first,
            .last = args_.panel_end - first < panels_ ? args_.panel_end : first + panels_,
            .k = k,
            .depth = args_.depth - k < kSplitDepth ? args_.depth - k : kSplitDepth,
            .panel = first};
  }
  const LinearArgs& args_;
  int64_t rows_;
  int64_t panels_;
};

/// Weights of args are `Weight`: float or F16Element.
template <typename Weight>
class SplitLinear {
 public:
  explicit SplitLinear(const LinearArgs& args) : args_(args), order_(args) {
    auto* weights =
        reinterpret_cast<uint16_t*>(args.scratch + order_.panels() * order_.strip_floats());
    weights_ = weights;
    next_weights_ = weights + 2 * kSplitWeightsFloats;
    rows_ = weights + 4 * kSplitWeightsFloats;
    next_rows_ = rows_ + order_.rows() * kSplitDepth * kSplitParts;
  }

  void Run() {
    if (args_.panel_begin == args_.panel_end) return;
    ConfigureTiles(kPairRows);
    SplitPlace place = order_.First();
    SetRows(place);
    SetWeights(place);
    for (; place.begin < args_.rows; place = order_.Next(place)) Multiply(place);
    between_.pending.FinishAll();
    _tile_release();
  }

 private:
  const Weight* StoredAt(const SplitPlace& place) const {
    return static_cast<const Weight*>(args_.weights) +
           (place.panel * args_.depth + place.k) * kPanelColumns;
  }
  void SetRows(const SplitPlace& place) {
    if (place.begin == args_.rows) return;
    between_.rows.Set(static_cast<const float*>(args_.x) + place.begin * args_.depth + place.k,
                      args_.depth, place.end - place.begin, place.depth, next_rows_);
  }
  void SetWeights(const SplitPlace& place) {
    if (place.begin < args_.rows) {
      between_.weights.Set(StoredAt(place), place.depth, next_weights_);
    }
  }

  /// Takes the parts that were made meanwhile, and begins with the next.
  void TakeParts(const SplitPlace& place, const SplitPlace& next, int64_t steps) {
    between_.weights.Run(between_.weights.left());
    std::swap(weights_, next_weights_);
    SetWeights(next);
    between_.weights_per_step = Share(between_.weights.left(), steps);
    if (place.panel > place.first) return;
    between_.rows.Run(between_.rows.left());
    std::swap(rows_, next_rows_);
    SetRows(order_.NextRows(place));
    between_.rows_per_step = Share(between_.rows.left(), steps * (place.last - place.first));
  }

  void Multiply(const SplitPlace& place) {
    const int64_t count = place.end - place.begin;
    const int64_t blocks = Bf16RowDepth(place.depth) / kAmxDepth;
    const int64_t steps = (count + kPairRows - 1) / kPairRows * blocks * kSplitSteps;
    const SplitPlace next = order_.Next(place);
    if (blocks == 0) between_.pending.FinishAll();  // there are no steps
    TakeParts(place, next, steps);
    between_.fetch = {reinterpret_cast<const char*>(StoredAt(order_.Next(next))),
                      Share(kSplitDepth * kPanelColumns * int64_t{sizeof(Weight)} / 64, steps)};
    between_.finish_per_step = (Share(kPairRows, blocks * kSplitSteps) + 1) / 2 * 2;
    float* strip = args_.scratch + (place.panel - place.first) * order_.strip_floats();
    for (int64_t row = 0; row < count; row += kPairRows) {
      const int64_t group = count - row < kPairRows ? count - row : kPairRows;
      const uint16_t* rows = rows_ + row / kPairRows * blocks * kSplitRowsStep;
      float* sums = strip + row * kPanelColumns;
      between_.next_sums = reinterpret_cast<const char*>(sums + kPairRows * kPanelColumns);
      if (group > kAmxRows) {
        MultiplySplit<true>(rows, weights_, blocks, place.k > 0, between_, sums);
      } else {
        MultiplySplit<false>(rows, weights_, blocks, place.k > 0, between_, sums);
      }
      if (place.k + place.depth == args_.depth) {
        float* gate = (place.panel & 1) == 1 ? sums - order_.strip_floats() : sums;
        between_.pending.Set(place.panel, place.begin + row, group, sums, gate);
      }
    }
  }

  const LinearArgs& args_;
  SplitOrder order_;
  SplitBetween<Weight> between_ = {.pending = PendingSums<RepairSums<PlainWeights<Weight>>>(args_)};
  uint16_t* weights_;  ///< the parts of this place, and of what comes next
  uint16_t* next_weights_;
  uint16_t* rows_;
  uint16_t* next_rows_;
};

/// True if splitting the weights takes longer than tiles gain, as measured on a Xeon, and the rows
/// fit the scratch.
inline bool IsFasterUnsplit(const LinearArgs& args) {
  constexpr int64_t kMostRows = 40;
  return args.rows <= kMostRows && args.rows * args.depth * 4 <= kAmxRowBytes;
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
  if (args.rows <= kPanelOrderRows) {
    RunStreamedLinear<Format>(args);
  } else if (IsFasterUnsplit(args)) {
    RunUnsplit<Format>(args);
  } else {
    SplitLinear<Weight>(args).Run();
  }
}

}  // namespace
}  // namespace qeff::cpu
