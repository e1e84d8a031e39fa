// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The kernels that exist per instruction set: what each computes, on which layouts, and the table
// of the best ones of a machine. Kernels trust their arguments (the runtime has checked every size
// when it opened the program), touch no other memory, do not allocate, and may run on several
// threads on disjoint parts. Floats are f32 unless said otherwise. Loops that are the
// same on every machine are in runtime/steps.
//
// Packed layouts. Those of weights and caches are the same on every machine:
//   weights of a Linear [N, K]: panels of 32 output columns, each panel [K][32] f32 or f16, or
//   [ceil(K/2)][32][2] bf16 (two
//     consecutive k beside each other; an odd K ends with a zero). N is filled up with zero
//     columns.
//   rows of a left operand [M, K]: tiles of 12 rows, the last one shorter; a tile of r rows is
//   [K][r] f32 or
//     [ceil(K/2)][r][2] bf16. Tile i starts at element 12 * i * K (bf16: 12 * i * Bf16RowDepth(K)).
//     Sets with matrix tiles have their own order of bf16 rows: tiles of 16 rows, a tile of r rows
//     is [ceil(K/32)][r][32], filled up with zeros; tile i starts at element 16 * i *
//     Bf16RowDepth(K). And of more than kPanelOrderRows f32 rows: row-major.
//   keys [Bc, K, C, E] of a cache: panels of 32 slots, each [E][32]; values are row-major. In
//     MXINT8 a panel of keys, or the values of a head, has its elements, s8, then its scales, E8M0,
//     [block of 32 channels][slot]; the last block of a head may be shorter.
//
// Quantised weights and the rows that meet them. A weight is number * scale, with one scale for
// each column and each group of k:
//   int8   groups of 128, numbers -127 .. 127, bf16 scale, stored number + 128
//   int4   groups of 32, numbers -8 .. 7, bf16 scale, stored number + 8
//   mxfp6  groups of 32, E2M3 numbers 0, 1/8, .. 7.5 with a sign, scale a power of two (E8M0):
//   MXFP6
//          of the OCP MX specification 1.0. Stored as the 6-bit code: sign, exponent, mantissa.
//          Eight times such a number is an integer, so products are integers here too.
// K is filled up to a multiple of 32 (QuantDepth) with zeros. A panel has its scales, [group][32]
// of them, filled up to a multiple of 64 bytes, then its numbers. Byte j < 64 of a quad (four k) is
// column j / 4, k j % 4, so that one 32-bit lane holds the four k of one column:
//   int8   for each quad 128 bytes: columns 0 .. 15, then columns 16 .. 31
//   int4   for each quad 64 bytes: low nibbles columns 0 .. 15, high nibbles columns 16 .. 31
//   mxfp6  for each two quads 192 bytes: the low four bits of both as in int4, then 64 bytes with
//          the upper two bits: bits 0-1 and 2-3 are both halves of the first quad, 4-5 and 6-7 of
//          the second
// A row is quantised for itself in blocks of 128 k (sets with matrix tiles keep all but few rows as
// bf16 rows instead, which are more exact: HasBf16QuantRows): scale = max |x| / 127 in f32, number
// = x * (127 / max |x|) rounded to nearest even. A tile of r rows has for each block [r][128]
// numbers s8, [r] scales f32, [r][groups of a block] s32: minus the stored form of zero times the
// sum of the numbers of a group, which is where the product of stored weights starts. Then
//   out = sum over blocks of row scale * (sum over groups of weight scale * (sum over k of
//   numbers))
// with the inner sum in integers, exact, and the outer ones in f32 in the order of k.
#pragma once

#include <cstddef>
#include <cstdint>

#include "backends/cpu/kernels/isa.h"

namespace qeff::cpu {

inline constexpr int64_t kPanelColumns = 32;
inline constexpr int64_t kTileRows = 12;
/// So few f32 rows are packed for sets with matrix tiles as for others.
inline constexpr int64_t kPanelOrderRows = 4;

/// Number of panels of `columns` columns.
constexpr int64_t PanelCount(int64_t columns) {
  return (columns + kPanelColumns - 1) / kPanelColumns;
}
constexpr int64_t RoundUpToEven(int64_t value) { return value + (value & 1); }
/// Elements that a packed bf16 row of K takes, whatever the instruction set.
constexpr int64_t Bf16RowDepth(int64_t depth) { return (depth + 31) / 32 * 32; }

/// How the weights of a Linear are kept. Stored in programs: only append.
enum class WeightFormat : int32_t { kF32, kBf16, kInt8, kInt4, kMxfp6, kF16 };
inline constexpr int32_t kWeightFormatCount = 6;
/// How packed rows are kept: kInt8 and after, quantised for weights of that format. Stored in
/// programs: only append.
enum class RowFormat : int32_t { kF32, kBf16, kInt8, kInt4, kMxfp6 };
inline constexpr int32_t kRowFormatCount = 5;

/// How keys and values are kept between calls. Stored in programs: only append.
enum class CacheFormat : int32_t {
  kF32,
  kBf16,
  kF16,
  kMxint8,  ///< MXINT8 of the OCP MX specification 1.0: a value is 2^e i / 64, |i| <= 127
};
inline constexpr int32_t kCacheFormatCount = 4;
inline constexpr int64_t kMxBlock = 32;  ///< channels of a head that share a scale
constexpr int64_t MxBlocks(int64_t channels) { return (channels + kMxBlock - 1) / kMxBlock; }
/// Bytes of the elements of so many channels of a slot of a head, and of their scales.
constexpr int64_t CacheSlotBytes(CacheFormat format, int64_t channels) {
  switch (format) {
    case CacheFormat::kF32:
      return 4 * channels;
    case CacheFormat::kBf16:
    case CacheFormat::kF16:
      return 2 * channels;
    case CacheFormat::kMxint8:
      return channels + MxBlocks(channels);
  }
  return 0;
}

inline constexpr int64_t kQuantBlock = 128;  ///< k that share a scale of a row
constexpr int64_t QuantDepth(int64_t depth) { return (depth + 31) / 32 * 32; }
constexpr int64_t QuantBlocks(int64_t depth) { return (depth + kQuantBlock - 1) / kQuantBlock; }

/// What kernels must know of a quantised format. A quad is four k of 32 columns.
struct QuantLayout {
  int64_t group = 32;        ///< k that share a scale of a column
  int32_t zero_point = 0;    ///< the stored form of zero
  int64_t scale_bytes = 2;   ///< of one scale
  int64_t quad_bytes = 128;  ///< mxfp6: half of what two of them take

  constexpr int64_t groups_of_block() const { return kQuantBlock / group; }
  /// Bytes of one block of one packed row.
  constexpr int64_t row_block_bytes() const { return kQuantBlock + 4 + 4 * groups_of_block(); }
  constexpr int64_t row_bytes(int64_t depth) const {
    return QuantBlocks(depth) * row_block_bytes();
  }
  constexpr int64_t groups(int64_t depth) const { return (depth + group - 1) / group; }
  /// Offset of the numbers in a panel.
  constexpr int64_t scales_bytes(int64_t depth) const {
    return (groups(depth) * kPanelColumns * scale_bytes + 63) / 64 * 64;
  }
  constexpr int64_t panel_bytes(int64_t depth) const {
    return scales_bytes(depth) + QuantDepth(depth) / 4 * quad_bytes;
  }
};
inline constexpr QuantLayout kInt8Layout = {
    .group = 128, .zero_point = 128, .scale_bytes = 2, .quad_bytes = 128};
inline constexpr QuantLayout kInt4Layout = {
    .group = 32, .zero_point = 8, .scale_bytes = 2, .quad_bytes = 64};
/// Numbers in eighths, plus 64: what the kernels make of the codes.
inline constexpr QuantLayout kMxfp6Layout = {
    .group = 32, .zero_point = 64, .scale_bytes = 1, .quad_bytes = 96};

/// Whether sets with matrix tiles pack so many rows for weights of `layout` as bf16 rows: where
/// tiles of bf16 are faster. Of groups of 32, tiles of bytes would be half empty.
constexpr bool HasBf16QuantRows(const QuantLayout& layout, int64_t rows) {
  return rows >= (layout.group == kInt8Layout.group ? 2 * kTileRows + 1 : 7);
}

/// Stored in programs: only append. Formulas as in transformers' ACT2FN.
enum class Activation : int32_t {
  kNone,
  kSilu,
  kGelu,       ///< x * (1 + erf(x / sqrt 2)) / 2
  kGeluTanh,   ///< tanh form, sqrt(2 / pi) * (x + 0.044715 x^3)
  kQuickGelu,  ///< x * sigmoid(1.702 x)
  kRelu,
  kRelu2,  ///< relu(x)^2
  kRelu6,
  kSigmoid,
  kTanh,
};
inline constexpr int32_t kActivationCount = 10;

/// out[i] = f(x[i]) for i < count. `out` may be `x`. Absolute error below 4e-7 times max(1, |x|).
struct ActivateArgs {
  Activation kind = Activation::kNone;
  const float* x = nullptr;
  float* out = nullptr;
  int64_t count = 0;
};

/// What is done with the sums of a Linear.
enum class LinearEpilogue : int32_t {
  kPlain,      ///< out = sum + bias + residual
  kGated,      ///< panels 2i and 2i+1 are gate and up: out columns of panel i = f(min(gate + bias,
               ///< limit)) * (clamp(up + bias, -limit, limit) + up_offset)
  kActivated,  ///< out = f(sum + bias) + residual
};

/// Where a product of few rows began to read weights: several runs of panels side by side.
struct StreamStarts {
  static constexpr int kMost = 4;
  const std::byte* at[kMost] = {};
  int64_t count = 0;  ///< 0: it did not stream
  int64_t bytes = 0;  ///< of each run
};

/// out[m, n] = sum over k of x[m, k] * w[n, k], then the epilogue. Sums in f32 in the order of k
/// within blocks that depend on K and M only, so results do not depend on how panels are divided.
struct LinearArgs {
  const void* x = nullptr;        ///< packed rows: f32 for linear_f32, _f16 and _bf16, bf16 for
                                  ///< linear_bf16_dot, for the others quantised for their weights
  const void* weights = nullptr;  ///< packed panels, 64-byte aligned
  WeightFormat weight_format =
      WeightFormat::kBf16;  ///< for linear_bf16_dot: kBf16 or quantised. A quantised weight is
                            ///< rounded to bf16, number times scale to nearest even
  int64_t rows = 0;
  int64_t depth = 0;
  int64_t columns = 0;  ///< of `out`
  int64_t panel_begin = 0;
  int64_t panel_end = 0;        ///< kGated: both even
  const float* bias = nullptr;  ///< in panel order, 32 for each panel; null: none
  const float* residual =
      nullptr;  ///< [rows, columns], rows residual_stride apart; may be `out`; null: none
  int64_t residual_stride = 0;
  float* out = nullptr;
  int64_t out_stride = 0;
  bool packs_out = false;  ///< `out` gets the rows rounded to bf16, in the order of this set's
                           ///< pack_rows_bf16; without a residual
  LinearEpilogue epilogue = LinearEpilogue::kPlain;
  Activation activation = Activation::kNone;
  void (*activate)(const ActivateArgs&) = nullptr;  ///< for kGated and kActivated
  float limit = 0;                                  ///< for kGated; 0: none
  float up_offset = 0;                              ///< for kGated
  float* scratch =
      nullptr;  ///< 64-byte aligned, LinearScratchFloats(rows) of them, this thread's own
  StreamStarts* starts = nullptr;  ///< filled by a product that streams; null: not wanted
};
/// k of a panel of int4 or mxfp6 that are unpacked at a time: 16 KiB of numbers, 2 KiB of scales.
inline constexpr int64_t kUnpackDepth = 512;
inline constexpr int64_t kUnpackFloats =
    kUnpackDepth * kPanelColumns / 4 + kUnpackDepth / 32 * kPanelColumns;
/// k of a panel of quantised weights that become bf16 at a time, at most. Takes the same scratch.
inline constexpr int64_t kDequantDepth = 288;
static_assert(kDequantDepth * kPanelColumns / 2 <= kUnpackFloats);
/// The same where rows of one bf16 part stream past matrix tiles and leave the first level to the
/// weights (32 by 32 sums of 384 k: 257 ns, 345 with loads that keep the rows). They take the
/// scratch that f32 rows are cut up in, too.
inline constexpr int64_t kTileDequantDepth = 384;
/// Matrix tiles keep a block of rows, cut into parts, beside the sums of several panels: as much as
/// a second-level cache of 2 MiB holds with the weights that stream through it. f32 rows that meet
/// no tiles are packed into the place of the rows, after the strips.
inline constexpr int64_t kAmxRowBytes = 1280 * 1024;
static_assert(kTileDequantDepth * kPanelColumns / 2 <= kAmxRowBytes / 4 + kUnpackFloats);
inline constexpr int64_t kAmxStripFloats = 192 * 1024;
constexpr int64_t LinearScratchFloats(int64_t rows) {
  const int64_t strips = 2 * (rows + 31) * kPanelColumns;
  return (strips > kAmxStripFloats ? strips : kAmxStripFloats) + kAmxRowBytes / 4 + kUnpackFloats;
}

/// Packs rows [row_begin, row_begin + rows) of an operand of `total_rows`. row_begin is a multiple
/// of 12, `rows` 12 or what is left. bf16 rounds to nearest even; matrix tiles take denormals as 0.
/// Quantised, a block with NaN gets the scale NaN, one with infinity the scale infinity.
struct PackRowsArgs {
  const float* x = nullptr;  ///< row `row_begin`; rows x_stride apart
  int64_t x_stride = 0;
  int64_t row_begin = 0;
  int64_t rows = 0;
  int64_t total_rows = 0;
  int64_t depth = 0;
  void* out = nullptr;      ///< of row 0
  QuantLayout layout = {};  ///< of the weights, for pack_rows_quant
};

/// For each row and each of `groups` runs of `group_size` channels:
///   subtract_mean == 0: out = x * gamma / sqrt(mean(x^2) + epsilon)
///   subtract_mean == 1: out = (x - mean) * gamma / sqrt(var + epsilon) + beta
/// gamma, beta [group_size]; null means 1 and 0. Sums in f32, one per lane. `out` may be `x`.
struct NormArgs {
  const float* x = nullptr;
  int64_t x_stride = 0;
  float* out = nullptr;
  int64_t out_stride = 0;
  int64_t rows = 0;
  int64_t groups = 0;
  int64_t group_size = 0;
  const float* gamma = nullptr;
  const float* beta = nullptr;
  float epsilon = 0;
  int32_t subtract_mean = 0;
};

/// Rotates the first `rotary` channels of each head of each row, copies the others. cos, sin [rows,
/// rotary], rows table_stride apart, hold the angles of rotary / 2 pairs twice.
///   interleaved == 0: pairs (i, i + rotary / 2); else pairs (2i, 2i + 1). (a, b) -> (a cos - b
///   sin, b cos + a sin).
/// `out` may be `x`.
struct RopeArgs {
  const float* x = nullptr;
  int64_t x_stride = 0;
  float* out = nullptr;
  int64_t out_stride = 0;
  const float* cos = nullptr;
  const float* sin = nullptr;
  int64_t table_stride = 0;
  int64_t rows = 0;
  int64_t heads = 0;
  int64_t head_size = 0;
  int64_t rotary = 0;
  int32_t interleaved = 0;
};

/// Attention of queries over cached keys and values, with streaming softmax. Row (b, t) at position
/// p sees the slots j < slots with j <= p and, if window > 0, j > p - window, and if chunk > 0, j
/// >= p - p mod chunk; a row that sees nothing gives zeros. Slots after the largest position of a
/// tile are not read. A unit is (b, kv head, tile of the T * H / K query rows that share the kv
/// head): of kF32AttentionRows for attention_f32 (12 where slots are split), of kBf16AttentionRows
/// for attention_bf16, which may round queries (times scale), keys, values and weights e^(score -
/// max) to bf16; sums are f32.
struct AttentionArgs {
  const float* q = nullptr;  ///< row (b, t) at q_stride * (b * T + t): [H, E]
  int64_t q_stride = 0;
  const int64_t* positions = nullptr;      ///< [B, T]
  CacheFormat format = CacheFormat::kF32;  ///< of keys and values
  const std::byte* keys =
      nullptr;  ///< packed panels, key_capacity slots (a multiple of 32) per (cache row, kv head)
  const std::byte* values =
      nullptr;  ///< [Bc, K, value_capacity, Ev], readable 32 elements past the end
  const int64_t* cache_rows = nullptr;  ///< [B], each checked to be below Bc; null: b
  float* out = nullptr;                 ///< row (b, t) at out_stride * (b * T + t): [H, Ev]
  int64_t out_stride = 0;
  int64_t batch = 0;   ///< B; only read where slots are split
  int64_t tokens = 0;  ///< T
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t key_size = 0;    ///< E
  int64_t value_size = 0;  ///< Ev
  int64_t key_capacity = 0;
  int64_t value_capacity = 0;
  int64_t slots = 0;
  float scale = 1;
  float softcap = 0;                    ///< 0: none; else scores = softcap * tanh(scores / softcap)
  int64_t window = 0;                   ///< 0: none
  int64_t chunk = 0;                    ///< 0: none
  const float* alibi_slopes = nullptr;  ///< [H]: score += alibi_scale * slope * j; null: none
  float alibi_scale = 1;
  bool alibi_in_bf16 = false;    ///< j and slope * j are rounded to bf16
  const float* sinks = nullptr;  ///< [H]: one more score, without a value; null: none
  int64_t split_slots = 0;  ///< attention_f32 only: a unit is a run of so many slots (a multiple of
                            ///< 256) of a tile, and leaves `partial` instead of `out`; 0: not
                            ///< split. Units are in the order of slots: first that run of all tiles
  float* partial =
      nullptr;  ///< of run s of tile t and its row r at ((t * runs + s) * 12 + r) * (Ev
                ///< + 2): largest score, sum of e^(score - largest), that of values
  int64_t unit_begin = 0;
  int64_t unit_end = 0;
  float* scratch =
      nullptr;  ///< 64-byte aligned, AttentionScratchFloats(E, Ev) of them, this thread's own
};
inline constexpr int64_t kAttentionBlockSlots = 256;
/// Blocks of few query rows: each costs two starts of reading. 5 % of reading three query heads a
/// kv head on a Xeon; 1024 were slower.
inline constexpr int64_t kDecodeBlockSlots = 2 * kAttentionBlockSlots;
/// Rows that meet a block of keys and values while it is in the caches. With 12, each block comes
/// from memory so often that long prompts wait for it.
inline constexpr int64_t kF32AttentionRows = 4 * kTileRows;
inline constexpr int64_t kBf16AttentionRows = 128;
constexpr int64_t AttentionSplits(int64_t slots, int64_t split_slots) {
  return split_slots == 0 ? 1 : (slots + split_slots - 1) / split_slots;
}
constexpr int64_t AttentionTiles(int64_t tokens, int64_t heads, int64_t kv_heads,
                                 int64_t unit_rows) {
  return (tokens * (heads / kv_heads) + unit_rows - 1) / unit_rows;
}
constexpr int64_t AttentionScratchFloats(int64_t key_size, int64_t value_size) {
  return kF32AttentionRows * (key_size + PanelCount(value_size) * kPanelColumns) +
         kTileRows * kDecodeBlockSlots;
}
/// For attention_bf16, not less than the above: scores of 32 rows and their weights in bf16;
/// queries and a block of keys and values in bf16; sums.
constexpr int64_t Bf16AttentionScratchFloats(int64_t key_size, int64_t value_size) {
  const int64_t values = PanelCount(value_size) * kPanelColumns;
  return 32 * kAttentionBlockSlots * 3 / 2 +
         (kBf16AttentionRows + kAttentionBlockSlots) * Bf16RowDepth(key_size) / 2 +
         kAttentionBlockSlots * values / 2 + kBf16AttentionRows * values;
}

/// Rounds the channels of one slot of a head to the elements of `format`, not kF32: to nearest,
/// ties to even. MXINT8: for each block of 32, scale 2^e with e = floor(log2(max |x|)) not below
/// -127, element x / 2^e * 64 within +-127; a block with an infinity or NaN has the scale NaN and
/// zeros.
struct CacheRowArgs {
  CacheFormat format = CacheFormat::kBf16;
  const float* x = nullptr;
  int64_t channels = 0;
  std::byte* elements = nullptr;  ///< uint16_t or int8_t [channels]
  uint8_t* scales = nullptr;      ///< [MxBlocks(channels)] for kMxint8
};

/// Attention of the rows [row_begin, row_end) to each other, one head: rows of a batch without its
/// padding. packed_attention_bf16 may round queries (times scale), keys, values and weights
/// e^(score - max) to bf16; sums are f32. Row n is token tokens[n] of its text; with a window it
/// sees those with |t - t'| < window; causal, the rows before it and itself, with a window as many.
/// The first `query_rows` rows are seen by none. Each row must see one. Row t of `bias`,
/// bias_stride apart (0: the same for all), holds what is added to the scores of t'. Scores as in
/// AttentionArgs. All pointers are of row 0 and this head.
struct PackedAttentionArgs {
  const float* q = nullptr;  ///< [E], rows q_stride apart, and so on
  int64_t q_stride = 0;
  const float* k = nullptr;  ///< [E]
  int64_t k_stride = 0;
  const float* v = nullptr;  ///< [Ev], readable 32 floats past the last row
  int64_t v_stride = 0;
  const int64_t* tokens = nullptr;
  int64_t first_token = 0;      ///< subtracted from tokens[n]
  const float* bias = nullptr;  ///< null: none
  int64_t bias_stride = 0;
  float* out = nullptr;  ///< [Ev]
  int64_t out_stride = 0;
  int64_t row_begin = 0;
  int64_t row_end = 0;
  int64_t key_size = 0;    ///< E
  int64_t value_size = 0;  ///< Ev
  float scale = 1;
  float softcap = 0;   ///< 0: none
  int64_t window = 0;  ///< 0: none
  bool is_causal = false;
  int64_t query_rows = 0;
  float* scratch =
      nullptr;  ///< 64-byte aligned, PackedAttentionScratchFloats of them, this thread's own
};
/// For texts of up to `tokens` tokens.
constexpr int64_t PackedAttentionScratchFloats(int64_t tokens, int64_t key_size,
                                               int64_t value_size) {
  const int64_t columns = PanelCount(tokens) * kPanelColumns;
  return columns * key_size +
         kTileRows * (key_size + columns + PanelCount(value_size) * kPanelColumns);
}

/// Floats from a row of scores to the next, for packed_attention_bf16 in tiles: not a power of two,
/// for 16 rows of a tile to lie in different sets of a cache.
constexpr int64_t AmxScoreStride(int64_t columns) { return columns + 16; }

/// For packed_attention_bf16, not less than the above: scores of 32 rows, sums; queries, keys and
/// values in bf16.
constexpr int64_t Bf16PackedAttentionScratchFloats(int64_t tokens, int64_t key_size,
                                                   int64_t value_size) {
  const int64_t columns = PanelCount(tokens) * kPanelColumns;
  const int64_t values = PanelCount(value_size) * kPanelColumns;
  const int64_t depth = Bf16RowDepth(key_size);
  const int64_t rounded =
      32 * (AmxScoreStride(columns) + values) + (32 * depth + columns * (depth + values)) / 2;
  const int64_t plain = PackedAttentionScratchFloats(tokens, key_size, value_size);
  return rounded > plain ? rounded : plain;
}

/// The gated delta rule of one head over the tokens of one row, in turn; tokens at negative
/// positions are left out and give zeros:
///   S = exp(decay) S    u = beta (v - S^T k)    S = S + k u^T    out = S^T q
/// Sums in f32 in the order of the key's channels. `state` may be null: then it starts from zeros
/// and is forgotten.
struct DeltaRuleArgs {
  const float* q = nullptr;  ///< of the first token, [E]; tokens q_stride apart, and so on
  int64_t q_stride = 0;
  const float* k = nullptr;  ///< [E]
  int64_t k_stride = 0;
  const float* v = nullptr;  ///< [Ev]
  int64_t v_stride = 0;
  const float* decay = nullptr;
  int64_t decay_stride = 0;
  const float* beta = nullptr;
  int64_t beta_stride = 0;
  const int64_t* positions = nullptr;  ///< [T]
  float* state = nullptr;              ///< S [E, Ev], replaced
  int32_t starts = 0;                  ///< S is zeros, whatever `state` holds
  float* out = nullptr;                ///< [Ev]
  int64_t out_stride = 0;
  int64_t tokens = 0;        ///< T
  int64_t key_size = 0;      ///< E
  int64_t value_size = 0;    ///< Ev
  float* scratch = nullptr;  ///< 64-byte aligned, DeltaRuleScratchFloats(E), this thread's own
};
inline constexpr int64_t kDeltaRuleColumns = 32;
constexpr int64_t DeltaRuleScratchFloats(int64_t key_size) { return key_size * kDeltaRuleColumns; }

/// The best kernel of each op for one instruction set.
struct Kernels {
  void (*linear_f32)(const LinearArgs&) = nullptr;
  void (*linear_f16)(const LinearArgs&) = nullptr;
  void (*linear_bf16)(const LinearArgs&) = nullptr;
  void (*linear_bf16_dot)(const LinearArgs&) = nullptr;
  void (*linear_int8)(const LinearArgs&) = nullptr;
  void (*linear_int4)(const LinearArgs&) = nullptr;
  void (*linear_mxfp6)(const LinearArgs&) = nullptr;
  void (*pack_rows_f32)(const PackRowsArgs&) = nullptr;
  void (*pack_rows_bf16)(const PackRowsArgs&) = nullptr;
  void (*pack_rows_quant)(const PackRowsArgs&) = nullptr;
  void (*norm)(const NormArgs&) = nullptr;
  void (*rope)(const RopeArgs&) = nullptr;
  void (*attention_f32)(const AttentionArgs&) = nullptr;
  void (*packed_attention_f32)(const PackedAttentionArgs&) = nullptr;
  void (*packed_attention_bf16)(const PackedAttentionArgs&) = nullptr;
  void (*attention_bf16)(const AttentionArgs&) = nullptr;
  void (*cache_row)(const CacheRowArgs&) = nullptr;
  void (*activate)(const ActivateArgs&) = nullptr;
  void (*delta_rule)(const DeltaRuleArgs&) = nullptr;
};

/// Returns the table for `isa`, which the machine must support.
const Kernels& KernelsFor(Isa isa);

}  // namespace qeff::cpu
