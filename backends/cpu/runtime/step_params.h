// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Parameters and operands of each step. The structs are stored as they are: fixed-width fields
// without gaps. Strides and widths count elements. Rows of a value [B, T, D] are numbered b * T +
// t.
#pragma once

#include <cstdint>
#include <type_traits>

#include "backends/cpu/kernels/kernels.h"
#include "backends/cpu/runtime/onnx_step_params.h"

namespace qeff::cpu {

/// x (packed rows), weights (panels), bias? (in panel order), residual?, out?, packed?. Units:
/// panels (gated: pairs of them). Formats are those of IsProduct (packed_formats.h). With `packed`
/// there is no residual: the product writes its rows packed there where HasBf16Rows(packed_format),
/// else to out, and a PackRows with after_product packs them. For kBf16, where that is always so,
/// there is neither.
struct LinearParams {
  int64_t rows = 0;
  int64_t depth = 0;
  int64_t columns = 0;  ///< of out
  int64_t out_stride = 0;
  int64_t residual_stride = 0;
  WeightFormat weights = WeightFormat::kF32;
  RowFormat row_format = RowFormat::kF32;
  LinearEpilogue epilogue = LinearEpilogue::kPlain;
  Activation activation = Activation::kNone;
  RowFormat packed_format = RowFormat::kF32;  ///< of packed
  int32_t reserved = 0;
};

enum class NormKind : int32_t { kNone, kRms, kLayer };
inline constexpr int32_t kNormKindCount = 3;

/// x, gamma?, beta?, out (packed). Normalises each row if asked, then packs. Units: tiles of 12
/// rows.
struct PackRowsParams {
  int64_t rows = 0;
  int64_t depth = 0;
  int64_t x_stride = 0;
  NormKind norm = NormKind::kNone;
  float epsilon = 0;
  RowFormat format = RowFormat::kF32;
  int32_t after_product = 0;  ///< a Linear has packed the rows where HasBf16Rows(format)
};

/// x, gamma?, beta?, out; out may be x. Units: rows.
struct NormParams {
  int64_t rows = 0;
  int64_t groups = 0;
  int64_t group_size = 0;
  int64_t x_stride = 0;
  int64_t out_stride = 0;
  NormKind norm = NormKind::kRms;
  float epsilon = 0;
};

/// x, cos, sin, out; out may be x. Units: rows.
struct RopeParams {
  int64_t rows = 0;
  int64_t heads = 0;
  int64_t head_size = 0;
  int64_t rotary = 0;
  int64_t x_stride = 0;
  int64_t out_stride = 0;
  int64_t table_stride = 0;
  int32_t interleaved = 0;
  int32_t reserved = 0;
};

/// How the rows of a table lie in memory.
enum class TableLayout : int32_t {
  kF32,     ///< row-major
  kPanels,  ///< as weights of a Linear: row n is column n % 32 of panel n / 32. kPanels + i: of the
            ///< WeightFormat i
};
constexpr TableLayout PanelTable(WeightFormat format) {
  return static_cast<TableLayout>(static_cast<int32_t>(TableLayout::kPanels) +
                                  static_cast<int32_t>(format));
}
/// Requires: `layout` is one of panels.
constexpr WeightFormat FormatOfTable(TableLayout layout) {
  return static_cast<WeightFormat>(static_cast<int32_t>(layout) -
                                   static_cast<int32_t>(TableLayout::kPanels));
}
inline constexpr int32_t kTableLayoutCount = 1 + kWeightFormatCount;

/// indices i64 [rows], table, out f32. Index i < 0 means row i + table_rows, as in ONNX. Units:
/// rows.
struct GatherRowsParams {
  int64_t rows = 0;
  int64_t width = 0;
  int64_t table_rows = 0;
  int64_t out_stride = 0;
  TableLayout layout = TableLayout::kF32;
  int32_t reserved = 0;
};

/// x (rows of [K, E]), positions i64 [B, T], cache_rows? i64 [B], cache. Row (b, t) goes to slot
/// positions[b, t] of cache row b or cache_rows[b]; positions outside [0, slots) write nothing.
/// Units: (b, head).
struct CacheWriteParams {
  int64_t batch = 0;
  int64_t tokens = 0;
  int64_t heads = 0;
  int64_t head_size = 0;
  int64_t x_stride = 0;
  int64_t cache_batch = 0;
  int64_t slots = 0;
  int32_t as_panels = 0;  ///< keys: StateLayout::kKeyPanels
  int32_t must_fit = 0;   ///< a position >= slots is a fault of the input instead of being dropped
  CacheFormat format = CacheFormat::kF32;
  int32_t reserved = 0;
};

/// q, positions i64 [B, T], keys, values, cache_rows? i64 [B], out. Units as in AttentionArgs, for
/// all b.
struct AttentionParams {
  int64_t batch = 0;
  int64_t tokens = 0;
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t key_size = 0;
  int64_t value_size = 0;
  int64_t cache_batch = 0;
  int64_t capacity = 0;  ///< slots of the cache
  int64_t slots = 0;     ///< slots in use, <= capacity
  int64_t q_stride = 0;
  int64_t out_stride = 0;
  int64_t window = 0;
  int64_t chunk = 0;
  float scale = 1;
  float softcap = 0;
  float alibi_scale = 1;
  int32_t alibi_in_bf16 = 0;
  CacheFormat format = CacheFormat::kF32;  ///< of keys and values
  int32_t reserved = 0;
};

/// The same for calls of at most 12 rows a kv head: units go on by runs of split_slots slots, and
/// leave partial sums (AttentionArgs) instead of `out`.
struct AttentionSplitParams {
  AttentionParams attention;
  int64_t split_slots = 0;
};

/// partial sums of all units, sinks?, out: what attention would have given. Units: (b, kv head).
struct AttentionCombineParams {
  int64_t batch = 0;
  int64_t tokens = 0;
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t value_size = 0;
  int64_t splits = 0;
  int64_t out_stride = 0;
};

/// hidden rows, positions i64 [B, T], out [B, keep, D]. With p the first token that has the largest
/// position: rows p - keep + 1 .. p, or 0 .. keep - 1 if p < keep - 1. Units: b.
struct SelectRowsParams {
  int64_t batch = 0;
  int64_t tokens = 0;
  int64_t keep = 0;
  int64_t width = 0;
  int64_t x_stride = 0;
};

/// x, out; out may be x. Units: blocks of kActivateBlock elements.
inline constexpr int64_t kActivateBlock = 1024;
struct ActivateParams {
  int64_t count = 0;
  Activation kind = Activation::kNone;
  int32_t reserved = 0;
};

// Mixture of experts. A slot is one choice of one row: slot = row * choices + choice. The route
// step sorts the slots by expert; the place of a slot is where it comes then, so the slots of
// expert e have the places starts[e] .. starts[e + 1]. Only experts that have slots are computed,
// each with all its slots at once. What reads starts, order or places keeps inside of its buffers
// whatever they hold.

/// expert_ids i64 [slots], starts i64 [experts + 1], order i64 [slots] (slot of each place, slots
/// of one expert in order), places i64 [slots] (place of each slot). An id outside [0, experts) is
/// a fault of the input. Units: 1.
struct RouteParams {
  int64_t slots = 0;
  int64_t experts = 0;
};

/// x, starts, order?, weights? f32 [slots], out: the rows of each expert packed, those of expert e
/// from place starts[e] on. With order, place p is row order[p] / choices of x, times
/// weights[order[p]] if there are weights; without, place p is row p. Units: experts.
struct PackRoutedParams {
  int64_t rows = 0;  ///< of x
  int64_t choices = 0;
  int64_t slots = 0;
  int64_t experts = 0;
  int64_t depth = 0;
  int64_t x_stride = 0;
  RowFormat format = RowFormat::kF32;
  int32_t reserved = 0;
};

/// x (packed by PackRouted), starts, weights (panels of all experts), bias? (in panel order), out
/// [slots, columns]: a Linear of each expert that has slots, with their rows. The weights of the
/// others are not read. Units: panels of an expert (gated: pairs of them).
struct RoutedLinearParams {
  int64_t slots = 0;
  int64_t experts = 0;
  int64_t depth = 0;
  int64_t columns = 0;
  WeightFormat weights = WeightFormat::kF32;
  RowFormat row_format = RowFormat::kF32;
  LinearEpilogue epilogue = LinearEpilogue::kPlain;
  Activation activation = Activation::kNone;
  float limit = 0;
  float up_offset = 0;
};

/// y [rows * choices, width], places, weights? f32 [rows * choices], out [rows, width]: row r is
/// the sum over its slots of weights[slot] * y[places[slot]], in order. Units: rows.
struct CombineRoutedParams {
  int64_t rows = 0;
  int64_t choices = 0;
  int64_t width = 0;
};

/// x, weight [C, 1, N], bias? [C], positions i64 [B, T], state? [state_rows, C, N], state_index?
/// i64 [B], out: qeff.CausalConv; row b has state row b or state_index[b], which is replaced in
/// place. Units: (b, block of kConvBlock channels).
inline constexpr int64_t kConvBlock = 64;
struct CausalConvParams {
  int64_t batch = 0;
  int64_t tokens = 0;
  int64_t channels = 0;
  int64_t taps = 0;
  int64_t state_rows = 0;  ///< 0: no state
  int64_t x_stride = 0;
  int64_t out_stride = 0;
  Activation activation = Activation::kNone;
  int32_t reserved = 0;
};

/// q, k (rows of [Hk, E]), v (rows of [Hv, Ev]), decay, beta (rows of [Hv]), positions i64 [B, T],
/// state? [state_rows, Hv, E, Ev], state_index? i64 [B], out: qeff.GatedDeltaRule; states as above.
/// Units: (b, value head).
struct DeltaRuleParams {
  int64_t batch = 0;
  int64_t tokens = 0;
  int64_t key_heads = 0;
  int64_t value_heads = 0;
  int64_t key_size = 0;
  int64_t value_size = 0;
  int64_t state_rows = 0;  ///< 0: no state
  int64_t q_stride = 0;
  int64_t k_stride = 0;
  int64_t v_stride = 0;
  int64_t decay_stride = 0;
  int64_t beta_stride = 0;
  int64_t out_stride = 0;
};

/// mask i64 [batch, row_tokens], token_index i64 [N], row_starts i64 [batch + 1], key_starts? i64
/// [batch]: qeff.TokenIndex, N = batch * row_tokens. Units: 1.
struct TokenIndexParams {
  int64_t batch = 0;
  int64_t row_tokens = 0;
  int64_t keeps_first = 0;  ///< 0 or 1
};

/// x (rows of row_bytes), token_index i64 [rows], out [rows, row_bytes]: qeff.RemovePadding; x has
/// source_rows rows, of which row token_index mod source_rows is taken. Zeros for a negative index.
/// Units: rows.
struct RemovePaddingParams {
  int64_t rows = 0;
  int64_t source_rows = 0;
  int64_t row_bytes = 0;
};

/// x [N, row_bytes], row_starts i64 [batch + 1], mask i64 [batch, row_tokens], out:
/// qeff.RestorePadding. Units: batch.
struct RestorePaddingParams {
  int64_t batch = 0;
  int64_t row_tokens = 0;
  int64_t row_bytes = 0;
  int64_t keeps_first = 0;  ///< 0 or 1
};

/// x f32 [batch * row_tokens, width], row_starts i64 [batch + 1], out f32 [batch, width]: row b is
/// the sum of the rows row_starts[b] .. row_starts[b + 1] - 1 of x, in this order; zeros if there
/// are none. Units: columns.
struct SumTokensParams {
  int64_t batch = 0;
  int64_t row_tokens = 0;
  int64_t width = 0;
};

/// q, k, v (rows of heads), token_index i64 [N], row_starts i64 [batch + 1], bias? [bias_batch,
/// bias_heads, bias_rows, row_tokens], key_starts? i64 [batch], out: qeff.PackedAttention. Units:
/// (row of the batch, head), divided anew by the lengths of the rows.
struct PackedAttentionParams {
  int64_t batch = 0;
  int64_t row_tokens = 0;
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t key_size = 0;
  int64_t value_size = 0;
  int64_t q_stride = 0;
  int64_t k_stride = 0;
  int64_t v_stride = 0;
  int64_t out_stride = 0;
  int64_t bias_batch = 0;  ///< 1 or batch
  int64_t bias_heads = 0;  ///< 1 or heads
  int64_t bias_rows = 0;   ///< 1 or row_tokens
  int64_t window = 0;
  int64_t is_causal = 0;  ///< 0 or 1
  float scale = 1;
  float softcap = 0;
};

}  // namespace qeff::cpu
