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
//   weights of a Linear [N, K]: panels of 32 output columns, each panel [K][32] f32, or
//   [ceil(K/2)][32][2] bf16 (two
//     consecutive k beside each other; an odd K ends with a zero). N is filled up with zero
//     columns.
//   rows of a left operand [M, K]: tiles of 12 rows, the last one shorter; a tile of r rows is
//   [K][r] f32 or
//     [ceil(K/2)][r][2] bf16. Tile i starts at element 12 * i * K (bf16: 12 * i * Bf16RowDepth(K)).
//     Sets with matrix tiles have their own order of bf16 rows: tiles of 16 rows, a tile of r rows
//     is [ceil(K/32)][r][32], filled up with zeros; tile i starts at element 16 * i *
//     Bf16RowDepth(K).
//   keys [Bc, K, C, E] of a cache: panels of 32 slots, each [E][32].
#pragma once

#include <cstdint>

#include "backends/cpu/kernels/isa.h"

namespace qeff::cpu {

inline constexpr int64_t kPanelColumns = 32;
inline constexpr int64_t kTileRows = 12;

/// Number of panels of `columns` columns.
constexpr int64_t PanelCount(int64_t columns) {
  return (columns + kPanelColumns - 1) / kPanelColumns;
}
constexpr int64_t RoundUpToEven(int64_t value) { return value + (value & 1); }
/// Elements that a packed bf16 row of K takes, whatever the instruction set.
constexpr int64_t Bf16RowDepth(int64_t depth) { return (depth + 31) / 32 * 32; }

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
  kPlain,  ///< out = sum + bias + residual
  kGated,  ///< panels 2i and 2i+1 are gate and up: out columns of panel i = f(min(gate + bias,
           ///< limit)) * (clamp(up + bias, -limit, limit) + up_offset)
};

/// out[m, n] = sum over k of x[m, k] * w[n, k], then the epilogue. Sums in f32 in the order of k
/// within blocks that depend on K and M only, so results do not depend on how panels are divided.
struct LinearArgs {
  const void* x =
      nullptr;  ///< packed rows: f32 for linear_f32 and linear_bf16, bf16 for linear_bf16_dot
  const void* weights = nullptr;  ///< packed panels, 64-byte aligned
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
  LinearEpilogue epilogue = LinearEpilogue::kPlain;
  Activation activation = Activation::kNone;
  void (*activate)(const ActivateArgs&) = nullptr;  ///< for kGated
  float limit = 0;                                  ///< for kGated; 0: none
  float up_offset = 0;                              ///< for kGated
  float* scratch =
      nullptr;  ///< 64-byte aligned, LinearScratchFloats(rows) of them, this thread's own
};
/// Matrix tiles keep a block of rows, cut into parts, beside the sums of several panels: as much as
/// a second-level cache of 2 MiB holds with the weights that stream through it.
inline constexpr int64_t kAmxRowBytes = 1280 * 1024;
inline constexpr int64_t kAmxStripFloats = 192 * 1024;
constexpr int64_t LinearScratchFloats(int64_t rows) {
  const int64_t strips = 2 * (rows + 31) * kPanelColumns;
  return (strips > kAmxStripFloats ? strips : kAmxStripFloats) + kAmxRowBytes / 4;
}

/// Packs rows [row_begin, row_begin + rows) of an operand of `total_rows`. row_begin is a multiple
/// of 12, `rows` 12 or what is left. bf16 rounds to nearest even; matrix tiles take denormals as 0.
struct PackRowsArgs {
  const float* x = nullptr;  ///< row `row_begin`; rows x_stride apart
  int64_t x_stride = 0;
  int64_t row_begin = 0;
  int64_t rows = 0;
  int64_t total_rows = 0;
  int64_t depth = 0;
  void* out = nullptr;  ///< of row 0
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
/// tile are not read. A unit is (b, kv head, tile of 12 of the T * H / K query rows that share the
/// kv head).
struct AttentionArgs {
  const float* q = nullptr;  ///< row (b, t) at q_stride * (b * T + t): [H, E]
  int64_t q_stride = 0;
  const int64_t* positions = nullptr;  ///< [B, T]
  const float* keys =
      nullptr;  ///< packed panels, key_capacity slots (a multiple of 32) per (cache row, kv head)
  const float* values = nullptr;  ///< [Bc, K, value_capacity, Ev], readable 32 floats past the end
  const int64_t* cache_rows = nullptr;  ///< [B], each checked to be below Bc; null: b
  float* out = nullptr;                 ///< row (b, t) at out_stride * (b * T + t): [H, Ev]
  int64_t out_stride = 0;
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
  int64_t unit_begin = 0;
  int64_t unit_end = 0;
  float* scratch =
      nullptr;  ///< 64-byte aligned, AttentionScratchFloats(E, Ev) of them, this thread's own
};
inline constexpr int64_t kAttentionBlockSlots = 256;
constexpr int64_t AttentionTiles(int64_t tokens, int64_t heads, int64_t kv_heads) {
  return (tokens * (heads / kv_heads) + kTileRows - 1) / kTileRows;
}
constexpr int64_t AttentionScratchFloats(int64_t key_size, int64_t value_size) {
  return kTileRows * (key_size + 2 * kAttentionBlockSlots + PanelCount(value_size) * kPanelColumns);
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
  void (*linear_bf16)(const LinearArgs&) = nullptr;
  void (*linear_bf16_dot)(const LinearArgs&) = nullptr;
  void (*pack_rows_f32)(const PackRowsArgs&) = nullptr;
  void (*pack_rows_bf16)(const PackRowsArgs&) = nullptr;
  void (*norm)(const NormArgs&) = nullptr;
  void (*rope)(const RopeArgs&) = nullptr;
  void (*attention_f32)(const AttentionArgs&) = nullptr;
  void (*activate)(const ActivateArgs&) = nullptr;
  void (*delta_rule)(const DeltaRuleArgs&) = nullptr;
};

/// Returns the table for `isa`, which the machine must support.
const Kernels& KernelsFor(Isa isa);

}  // namespace qeff::cpu
