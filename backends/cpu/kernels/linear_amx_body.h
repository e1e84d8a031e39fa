// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Linear with bf16 weights by matrix tiles (tdpbf16ps): a tile of 16 rows by 32 k meets a tile of
// 32 k by 16 columns, which is how the panels of weights lie anyway. Rows are bf16, or f32 as the
// sum of three bf16 parts: cut off after 8, 16 and 24 bits the parts give the value back exactly,
// so three products per step have the precision of f32. The instruction adds in f32 and takes
// denormals as zero.
//
// The sums of 32 rows by 32 columns take four of the eight tile registers, so each tile that is
// loaded is used twice. Blocks of rows and k that fit the second-level cache are the outermost
// loops. Innermost, a few k of a panel stay in the first-level cache while the rows stream from the
// second, with the load that says so: rows that fill the first level push out the weights and the
// sums (measured: 345 ns for 32 by 32 sums of 384 k, 257 with it). What comes next of the weights
// is fetched meanwhile. Quantised weights become bf16 on their way into the first level. Sums are
// finished between the steps of the next tile: the vector unit does one multiply-add a cycle beside
// the tiles, for nothing.
#pragma once

#include <immintrin.h>

#include "backends/cpu/kernels/dequantise_body.h"
#include "backends/cpu/kernels/linear_amx_finish.h"
#include "backends/cpu/kernels/quant_ops_avx512_vbmi.h"

namespace qeff::cpu {
namespace {

constexpr int64_t kAmxRows = 16;   ///< of a tile
constexpr int64_t kAmxDepth = 32;  ///< k of a tile
constexpr int64_t kAmxTile = kAmxRows * kAmxDepth;
constexpr int64_t kPairRows = 2 * kAmxRows;

/// What ldtilecfg reads.
struct alignas(64) TileConfiguration {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};

/// The intrinsic tells the compiler of eight bytes only, so that stores to the others may be lost.
QEFF_INLINE void LoadTileConfiguration(const TileConfiguration& configuration) {
  asm volatile("ldtilecfg %0" : : "m"(configuration));
}

/// Tiles 0..3: sums of rows {first, second} by columns {0..15, 16..31}; 4, 5: rows; 6, 7: weights.
/// No tile may be empty.
inline void ConfigureTiles(int64_t first_rows, int64_t second_rows) {
  const auto first = static_cast<uint8_t>(first_rows);
  const auto second = static_cast<uint8_t>(second_rows > 0 ? second_rows : 1);
  TileConfiguration configuration;
  const uint8_t rows[8] = {first, first, second, second, first, second, kAmxRows, kAmxRows};
  for (int i = 0; i < 8; ++i) {
    configuration.rows[i] = rows[i];
    configuration.row_bytes[i] = 64;
  }
  LoadTileConfiguration(configuration);
}
/// For `count` rows, up to 32.
inline void ConfigureTiles(int64_t count) {
  const int64_t first = count < kAmxRows ? count : kAmxRows;
  ConfigureTiles(first, count - first);
}

/// Up to 32 rows as one or two tiles for each block of 32 k. Counts are elements.
struct AmxRows {
  const uint16_t* first;
  const uint16_t* second;
  int64_t first_step;  ///< from one block of k to the next
  int64_t second_step;
  int64_t part_step;  ///< from one part of the values to the next
};

/// A tile of rows, which need not stay in the first level if they stream.
#define QEFF_LOAD_ROWS(tile, from)        \
  do {                                    \
    if constexpr (kStreamsRows) {         \
      _tile_stream_loadd(tile, from, 64); \
    } else {                              \
      _tile_loadd(tile, from, 64);        \
    }                                     \
  } while (false)

template <int kParts, bool kIsPair, bool kStreamsRows>
QEFF_INLINE void MultiplyStep(const AmxRows& rows, const uint16_t* w) {
  _tile_loadd(6, w, 128);
  _tile_loadd(7, w + 32, 128);
#pragma GCC unroll 3
  for (int part = 0; part < kParts; ++part) {
    QEFF_LOAD_ROWS(4, rows.first + part * rows.part_step);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    if constexpr (kIsPair) {
      QEFF_LOAD_ROWS(5, rows.second + part * rows.part_step);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
  }
}
#undef QEFF_LOAD_ROWS

/// Fetches the weights that come next into the second-level cache, some lines at each step.
struct AmxFetch {
  const char* next;
  int64_t lines;  ///< per step
  QEFF_INLINE void Step() {
    for (int64_t i = 0; i < lines; ++i) _mm_prefetch(next + i * 64, _MM_HINT_T1);
    next += lines * 64;
  }
};

/// Writes the last block of a panel whose depth is no multiple of 32 to `block`, filled up with
/// zeros: what follows a panel may be anything, and 0 * infinity is not 0.
inline void FillLastBlock(const uint16_t* w, int64_t depth, uint16_t* block) {
  const int64_t count = RoundUpToEven(depth) * kPanelColumns;
  for (int64_t i = 0; i < count; ++i) block[i] = w[i];
  for (int64_t i = count; i < kAmxDepth * kPanelColumns; ++i) block[i] = 0;
}

/// [32][32] sums.
struct AmxSums {
  float* data;
  int64_t stride;  ///< elements
};

/// What PendingSums does with sums before they are finished: nothing.
struct KeepSums {
  static void Run(const LinearArgs&, int64_t, int64_t, int64_t, float*) {}
};
/// Rows whose sums are not finite are multiplied again as f32: a number that is none, or infinite,
/// has no parts. Weight: Multiply(args, panel, row, sums).
template <typename Weight>
struct RepairSums {
  QEFF_INLINE static void Run(const LinearArgs& args, int64_t panel, int64_t row, int64_t rows,
                              float* sums) {
    constexpr int kNotFinite = 0x99;  // quiet and signaling NaN, both infinities
    for (; rows > 0; --rows, ++row, sums += kPanelColumns) {
      const __mmask16 found = _mm512_fpclass_ps_mask(_mm512_loadu_ps(sums), kNotFinite) |
                              _mm512_fpclass_ps_mask(_mm512_loadu_ps(sums + kLanes), kNotFinite);
      if (found != 0) Weight::Multiply(args, panel, row, sums);
    }
  }
};

/// The sums that are finished while others are made. Before::Run(args, panel, row, rows, sums) may
/// change them.
template <typename Before = KeepSums>
class PendingSums {
 public:
  explicit PendingSums(const LinearArgs& args) : args_(args) {}
  /// `rows` rows from `row` on, as for FinishTile. Finishes those before.
  void Set(int64_t panel, int64_t row, int64_t rows, float* sums, float* gate) {
    Finish(rows_);
    panel_ = panel;
    row_ = row;
    rows_ = rows;
    sums_ = sums;
    gate_ = gate;
  }
  /// Finishes up to `count` rows.
  QEFF_INLINE void Finish(int64_t count) {
    if (rows_ == 0) return;
    count = rows_ < count ? rows_ : count;
    Before::Run(args_, panel_, row_, count, sums_);
    FinishAmxTile(args_, panel_, row_, count, sums_, gate_);
    row_ += count;
    rows_ -= count;
    sums_ += count * kPanelColumns;
    gate_ += count * kPanelColumns;
  }
  void FinishAll() { Finish(rows_); }

 private:
  const LinearArgs& args_;
  int64_t panel_ = 0;
  int64_t row_ = 0;
  int64_t rows_ = 0;  ///< left
  float* sums_ = nullptr;
  float* gate_ = nullptr;
};

/// What happens between the steps of a tile.
template <typename Pending>
struct FetchAndFinish {
  AmxFetch fetch;
  Pending& pending;
  int64_t rows;  ///< to finish at a step
  QEFF_INLINE void Step() {
    fetch.Step();
    pending.Finish(rows);
  }
};

/// Tiles 0 .. 3 = the sums of 32 rows, or 16, or zeros.
template <bool kIsPair>
QEFF_INLINE void LoadSums(bool accumulate, const AmxSums& from) {
  const int64_t stride = from.stride * 4;
  const float* below = from.data + kAmxRows * from.stride;
  if (accumulate) {
    _tile_loadd(0, from.data, stride);
    _tile_loadd(1, from.data + 16, stride);
    if constexpr (kIsPair) {
      _tile_loadd(2, below, stride);
      _tile_loadd(3, below + 16, stride);
    }
  } else {
    _tile_zero(0);
    _tile_zero(1);
    if constexpr (kIsPair) {
      _tile_zero(2);
      _tile_zero(3);
    }
  }
}

template <bool kIsPair>
QEFF_INLINE void StoreSums(const AmxSums& to) {
  const int64_t stride = to.stride * 4;
  float* below = to.data + kAmxRows * to.stride;
  _tile_stored(0, to.data, stride);
  _tile_stored(1, to.data + 16, stride);
  if constexpr (kIsPair) {
    _tile_stored(2, below, stride);
    _tile_stored(3, below + 16, stride);
  }
}

/// sums (+)= the rows by `depth` k of one panel. Calls between.Step() between products.
/// kStreamsRows: the rows are not used again before they have left the first-level cache.
template <int kParts, bool kIsPair, bool kStreamsRows, typename Between>
inline void MultiplyTiles(AmxRows rows, const uint16_t* w, int64_t depth, bool accumulate,
                          Between& between, const AmxSums& to) {
  LoadSums<kIsPair>(accumulate, to);
  for (; depth >= kAmxDepth; depth -= kAmxDepth) {
    MultiplyStep<kParts, kIsPair, kStreamsRows>(rows, w);
    between.Step();
    w += kAmxDepth * kPanelColumns;
    rows.first += rows.first_step;
    rows.second += rows.second_step;
  }
  if (depth > 0) {
    alignas(64) uint16_t block[kAmxDepth * kPanelColumns];
    FillLastBlock(w, depth, block);
    MultiplyStep<kParts, kIsPair, kStreamsRows>(rows, block);
  }
  StoreSums<kIsPair>(to);
}

/// bf16 rows as pack_rows_bf16 leaves them: nothing to prepare.
struct PackedAmxRows {
  using Pending = PendingSums<>;
  static constexpr int kParts = 1;
  static constexpr bool kStreams = true;
  static void Prepare(const LinearArgs&, int64_t, int64_t, int64_t, int64_t, uint16_t*) {}
  /// Rows [row, row + count) from k + done on.
  static AmxRows At(const LinearArgs& args, const uint16_t*, int64_t, int64_t row, int64_t count,
                    int64_t k, int64_t, int64_t done) {
    const uint16_t* x = static_cast<const uint16_t*>(args.x) + row * Bf16RowDepth(args.depth);
    const int64_t first = count < kAmxRows ? count : kAmxRows;
    k += done;
    return {.first = x + k * first,
            .second = x + kAmxRows * Bf16RowDepth(args.depth) + k * (count - first),
            .first_step = first * kAmxDepth,
            .second_step = (count - first) * kAmxDepth,
            .part_step = 0};
  }
};

/// f32 rows, cut into parts in scratch: for each 32 rows [ceil(depth / 32)][3][2][16][32].
struct SplitAmxRows {
  using Pending = PendingSums<RepairSums<SplitAmxRows>>;
  static constexpr int kParts = 3;
  static constexpr bool kStreams = false;  ///< the parts fill the first level in any case
  static constexpr int64_t kStep = kParts * 2 * kAmxTile;

  /// A row by a panel.
  static void Multiply(const LinearArgs& args, int64_t panel, int64_t row, float* sums) {
    const float* x = static_cast<const float*>(args.x) + row * args.depth;
    const auto* weights = static_cast<const uint16_t*>(args.weights) +
                          panel * RoundUpToEven(args.depth) * kPanelColumns;
    for (int64_t column = 0; column < kPanelColumns; column += kLanes) {
      Vec sum = {};
      for (int64_t k = 0; k < args.depth; ++k) {
        const VecU pair = LoadU(weights + k / 2 * 2 * kPanelColumns + 2 * column);
        const VecU weight = k % 2 == 0 ? pair << 16 : pair & 0xffff0000u;
        sum += Broadcast(x[k]) * BitsToFloat(weight);
      }
      Store(sums + column, sum);
    }
  }

  /// Up to 16 k of a row.
  static void SplitRun(const float* x, int64_t count, uint16_t* out) {
    constexpr __mmask16 kAll = 0xffff;
    const auto mask = static_cast<__mmask16>((uint32_t{1} << count) - 1);
    const __m512i high_half = _mm512_set1_epi32(static_cast<int32_t>(0xffff0000u));
    __m512 rest = _mm512_maskz_loadu_ps(mask, x);
    for (int part = 0; part < kParts; ++part) {
      const __m512i cut = _mm512_and_si512(_mm512_castps_si512(rest), high_half);
      _mm256_storeu_si256(
          reinterpret_cast<__m256i*>(out + part * 2 * kAmxTile),
          _mm512_maskz_cvtepi32_epi16(kAll, _mm512_maskz_srli_epi32(kAll, cut, 16)));
      rest = _mm512_sub_ps(rest, _mm512_castsi512_ps(cut));
    }
  }

  /// Rows [begin, begin + rows) of row-major f32, k in [k, k + depth).
  static void Prepare(const LinearArgs& args, int64_t begin, int64_t rows, int64_t k, int64_t depth,
                      uint16_t* parts) {
    const int64_t blocks = Bf16RowDepth(depth) / kAmxDepth;
    for (int64_t i = 0; i < rows; ++i) {
      const float* x = static_cast<const float*>(args.x) + (begin + i) * args.depth + k;
      uint16_t* out = parts + i / kPairRows * blocks * kStep + i % kPairRows / kAmxRows * kAmxTile +
                      i % kAmxRows * kAmxDepth;
      for (int64_t done = 0; done < blocks * kAmxDepth; done += 16) {
        const int64_t left = depth - done;
        SplitRun(x + (left > 0 ? done : 0), left > 16 ? 16 : (left > 0 ? left : 0),
                 out + done / kAmxDepth * kStep + done % kAmxDepth);
      }
    }
  }
  static AmxRows At(const LinearArgs&, const uint16_t* parts, int64_t begin, int64_t row, int64_t,
                    int64_t, int64_t depth, int64_t done) {
    const uint16_t* first =
        parts +
        ((row - begin) / kPairRows * (Bf16RowDepth(depth) / kAmxDepth) + done / kAmxDepth) * kStep;
    return {.first = first,
            .second = first + kAmxTile,
            .first_step = kStep,
            .second_step = kStep,
            .part_step = 2 * kAmxTile};
  }
};

/// How a product is cut up. Depends on its sizes only, so that every thread adds in the same order.
struct AmxBlocks {
  int64_t rows;         ///< a multiple of 32
  int64_t depth;        ///< a multiple of 32, or all
  int64_t panels;       ///< even: gate and up stay together
  int64_t inner_depth;  ///< k of a panel that stay in the first-level cache
};

inline AmxBlocks ChooseBlocks(const LinearArgs& args, int64_t parts) {
  constexpr int64_t kLongestDepth = 3072;
  const int64_t inner_depth = parts > 1 ? kDequantDepth : kTileDequantDepth;
  constexpr int64_t kBlockDepth = 2048;
  AmxBlocks blocks;
  blocks.depth = args.depth <= kLongestDepth ? args.depth : kBlockDepth;
  const int64_t row_bytes = Bf16RowDepth(blocks.depth < 1 ? 1 : blocks.depth) * 2 * parts;
  int64_t rows = kAmxRowBytes / row_bytes / kPairRows * kPairRows;
  if (rows < kPairRows) rows = kPairRows;
  const int64_t count = (args.rows + rows - 1) / rows;  // of even size
  rows = (args.rows + count - 1) / count;
  blocks.rows = (rows + kPairRows - 1) / kPairRows * kPairRows;
  const int64_t strips = kAmxStripFloats / (blocks.rows * kPanelColumns) / 2 * 2;
  blocks.panels = blocks.depth == args.depth || strips < 2 ? 2 : strips;
  // Measured: few rows use a weight too rarely to gain by it if k is large, and of rows in parts
  // there is so much that it hardly matters where the weights come from.
  constexpr int64_t kFewRows = 2 * kPairRows;
  constexpr int64_t kShortDepth = 1024;
  const bool is_whole = args.weight_format == WeightFormat::kBf16 &&
                        (parts > 1 || (args.rows <= kFewRows && args.depth > kShortDepth));
  blocks.inner_depth = is_whole ? blocks.depth : DequantDepth(blocks.depth, inner_depth);
  return blocks;
}

/// Bytes of a panel as stored, of what lies before its numbers, and of the numbers of 32 k.
struct StoredPanel {
  int64_t panel_bytes;
  int64_t scales_bytes;
  int64_t step_bytes;
};
inline StoredPanel StoredPanelOf(const LinearArgs& args) {
  const QuantLayout* layout = args.weight_format == WeightFormat::kInt8    ? &kInt8Layout
                              : args.weight_format == WeightFormat::kInt4  ? &kInt4Layout
                              : args.weight_format == WeightFormat::kMxfp6 ? &kMxfp6Layout
                                                                           : nullptr;
  if (layout == nullptr) return {RoundUpToEven(args.depth) * kPanelColumns * 2, 0, kAmxTile * 4};
  return {layout->panel_bytes(args.depth), layout->scales_bytes(args.depth),
          kAmxDepth / 4 * layout->quad_bytes};
}

/// Rows [begin, end) by k in [k, k + depth) of one panel, into its strip of sums: of all rows if
/// they are needed again, else of two tiles in turn, which stay in the first level.
template <typename Rows>
inline void MultiplyPanel(const LinearArgs& args, uint16_t* parts, int64_t begin, int64_t end,
                          int64_t panel, int64_t k, int64_t depth, int64_t block, float* strip,
                          float* gate, typename Rows::Pending& pending) {
  const bool is_gate = args.epilogue == LinearEpilogue::kGated && (panel & 1) == 0;
  // Measured: beside a long formula the tiles go on, beside copies they need not.
  const int64_t finish_rows = args.epilogue == LinearEpilogue::kPlain ? kPairRows : 4;
  const bool keeps_sums = is_gate || block < args.depth;
  const int64_t pairs = (end - begin + kPairRows - 1) / kPairRows;
  const StoredPanel stored = StoredPanelOf(args);
  const auto* numbers = static_cast<const char*>(args.weights) + panel * stored.panel_bytes +
                        stored.scales_bytes + k / kAmxDepth * stored.step_bytes;
  int64_t done = 0;
  do {  // at least once: depth may be 0
    const int64_t count_k = depth - done < block ? depth - done : block;
    const uint16_t* w = Bf16Block<QuantOpsVbmi>(args, panel, k + done, count_k, parts);
    const bool is_last = done + count_k == depth;
    const int64_t steps = count_k / kAmxDepth;
    if (steps == 0) pending.FinishAll();  // the next sums may take the place of their gate
    FetchAndFinish<typename Rows::Pending> between = {
        {is_last ? numbers + stored.panel_bytes
                 : numbers + (done + count_k) / kAmxDepth * stored.step_bytes,
         (stored.step_bytes / 64 + pairs - 1) / pairs},
        pending,
        steps < 8 ? kPairRows : finish_rows};
    for (int64_t row = begin; row < end; row += kPairRows) {
      const int64_t count = end - row < kPairRows ? end - row : kPairRows;
      const AmxRows rows = Rows::At(args, parts, begin, row, count, k, depth, done);
      float* sums =
          strip + (keeps_sums ? row - begin : (row - begin) % (2 * kPairRows)) * kPanelColumns;
      if (count < kPairRows) ConfigureTiles(count);
      if (count > kAmxRows) {
        MultiplyTiles<Rows::kParts, true, Rows::kStreams>(rows, w, count_k, k + done > 0, between,
                                                          {sums, kPanelColumns});
      } else {
        MultiplyTiles<Rows::kParts, false, Rows::kStreams>(rows, w, count_k, k + done > 0, between,
                                                           {sums, kPanelColumns});
      }
      if (count < kPairRows) ConfigureTiles(kPairRows);
      if (is_last && k + depth == args.depth) {
        pending.Set(panel, row, count, sums, gate + (row - begin) * kPanelColumns);
      }
    }
    done += count_k;
  } while (done < depth);
}

/// Rows: kParts; kStreams, as kStreamsRows; Prepare() lays a block of rows out where that is
/// needed; At() finds it.
template <typename Rows>
void RunLinearAmx(const LinearArgs& args) {
  const AmxBlocks blocks = ChooseBlocks(args, Rows::kParts);
  const int64_t strip_floats = blocks.rows * kPanelColumns;
  auto* parts = reinterpret_cast<uint16_t*>(args.scratch + blocks.panels * strip_floats);
  typename Rows::Pending pending(args);
  ConfigureTiles(kPairRows);
  for (int64_t begin = 0; begin < args.rows; begin += blocks.rows) {
    const int64_t end = args.rows - begin < blocks.rows ? args.rows : begin + blocks.rows;
    for (int64_t first = args.panel_begin; first < args.panel_end; first += blocks.panels) {
      const int64_t last =
          args.panel_end - first < blocks.panels ? args.panel_end : first + blocks.panels;
      int64_t k = 0;
      do {  // at least once: depth may be 0
        const int64_t depth = args.depth - k < blocks.depth ? args.depth - k : blocks.depth;
        if (first == args.panel_begin || depth < args.depth) {
          Rows::Prepare(args, begin, end - begin, k, depth, parts);
        }
        for (int64_t panel = first; panel < last; ++panel) {
          float* strip = args.scratch + (panel - first) * strip_floats;
          MultiplyPanel<Rows>(args, parts, begin, end, panel, k, depth, blocks.inner_depth, strip,
                              (panel - first) % 2 == 1 ? strip - strip_floats : strip, pending);
        }
        k += depth;
      } while (k < args.depth);
    }
    pending.FinishAll();  // the next rows take the places of the sums
  }
  _tile_release();
}

}  // namespace
}  // namespace qeff::cpu
