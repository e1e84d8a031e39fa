// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "backends/cpu/runtime/step.h"
#include "backends/cpu/runtime/step_params.h"

namespace qeff::cpu {
namespace {

enum { kQ, kK, kV, kTokenIndex, kRowStarts, kBias, kKeyStarts, kOut, kOperandCount };

/// packed_attention_f32 or packed_attention_bf16: the same but for the scratch.
struct PackedAttentionKind {
  int64_t (*scratch_floats)(int64_t tokens, int64_t key_size, int64_t value_size);
  void (*Kernels::*kernel)(const PackedAttentionArgs&);
};
constexpr PackedAttentionKind kF32 = {PackedAttentionScratchFloats, &Kernels::packed_attention_f32};
constexpr PackedAttentionKind kBf16 = {Bf16PackedAttentionScratchFloats,
                                       &Kernels::packed_attention_bf16};

template <const PackedAttentionKind& kKind>
void Check(StepCheck& check) {
  const auto p = check.params_as<PackedAttentionParams>();
  check.RequireSizes({p.batch, p.row_tokens, p.heads, p.kv_heads, p.key_size, p.value_size,
                      p.q_stride, p.k_stride, p.v_stride, p.out_stride, p.window});
  check.Require(p.kv_heads > 0 && p.heads % p.kv_heads == 0,
                "the heads do not divide among the kv heads");
  check.Require(p.is_causal == 0 || p.is_causal == 1, "is_causal is neither 0 nor 1");
  const int64_t rows = Product({p.batch, p.row_tokens});
  check.Require(Product({p.heads, p.value_size}) <= p.out_stride || rows <= 1,
                "rows of the result overlap");
  check.Read(kQ, StridedExtent(rows, p.q_stride, Product({p.heads, p.key_size})), 4);
  check.Read(kK, StridedExtent(rows, p.k_stride, Product({p.kv_heads, p.key_size})), 4);
  check.Read(kV, StridedExtent(rows, p.v_stride, Product({p.kv_heads, p.value_size})), 4);
  check.ReadIndices(kTokenIndex, rows);
  check.ReadIndices(kRowStarts, p.batch + 1);
  check.ReadOptionalIndices(kKeyStarts, p.batch);
  if (check.has(kBias)) {
    check.Require((p.bias_batch == 1 || p.bias_batch == p.batch) &&
                      (p.bias_heads == 1 || p.bias_heads == p.heads) &&
                      (p.bias_rows == 1 || p.bias_rows == p.row_tokens),
                  "the bias does not fit the scores");
    check.Read(kBias, Product({p.bias_batch, p.bias_heads, p.bias_rows, p.row_tokens}), 4);
  }
  check.Write(kOut, StridedExtent(rows, p.out_stride, Product({p.heads, p.value_size})), 4);
  check.Done(Product({p.batch, p.heads}),
             Product({kKind.scratch_floats(p.row_tokens, p.key_size, p.value_size), 4}));
}

/// Divides the (row, head) pairs of the batch by the work that their lengths make, in proportion to
/// the division of the units.
class PairDivision {
 public:
  PairDivision(const PackedAttentionParams& params, const int64_t* starts)
      : params_(params), starts_(starts) {
    for (int64_t b = 0; b < params.batch; ++b) total_ += RowWork(b);
  }

  /// The first pair of the part that begins with `unit`.
  int64_t FirstPair(int64_t unit) const {
    const int64_t units = params_.batch * params_.heads;
    if (unit == units) return units;
    double wanted = total_ * static_cast<double>(unit) / static_cast<double>(units);
    for (int64_t b = 0; b < params_.batch; ++b) {
      const double work = RowWork(b);
      if (wanted < work) {
        return b * params_.heads +
               static_cast<int64_t>(wanted / work * static_cast<double>(params_.heads));
      }
      wanted -= work;
    }
    return units;
  }

 private:
  double RowWork(int64_t b) const {
    // Of starts that make no sense, too, so that every pair lies in [0, units).
    const double length =
        std::max(0.0, static_cast<double>(starts_[b + 1]) - static_cast<double>(starts_[b]));
    return length * (length + kTileRows);
  }

  const PackedAttentionParams& params_;
  const int64_t* starts_;
  double total_ = 0;
};

/// True if the rows [begin, end) of `b` lie inside and are tokens of it, in order.
bool IsSound(const PackedAttentionParams& p, const int64_t* tokens, int64_t b, int64_t begin,
             int64_t end) {
  if (begin < 0 || begin > end || end > p.batch * p.row_tokens) return false;
  int64_t least = b * p.row_tokens;
  for (int64_t n = begin; n < end; ++n) {
    if (tokens[n] < least || tokens[n] >= (b + 1) * p.row_tokens) return false;
    least = tokens[n] + 1;
  }
  return true;
}

/// True if row `begin`, the first of a text, sees row `key`, the first that is seen at all.
bool SeesKeys(const PackedAttentionParams& p, const int64_t* tokens, int64_t begin, int64_t key) {
  if (key == begin) return true;
  return p.is_causal == 0 && (p.window == 0 || tokens[key] - tokens[begin] < p.window);
}

template <const PackedAttentionKind& kKind>
void Run(const StepRun& run) {
  const auto p = run.params_as<PackedAttentionParams>();
  const int64_t* tokens = run.operand<int64_t>(kTokenIndex);
  const int64_t* starts = run.operand<int64_t>(kRowStarts);
  const int64_t* key_starts = run.operand<int64_t>(kKeyStarts);
  const int64_t rows = p.batch * p.row_tokens;
  const int64_t group = p.heads / p.kv_heads;
  const PairDivision division(p, starts);
  const int64_t end_pair = division.FirstPair(run.end);
  for (int64_t pair = division.FirstPair(run.begin); pair < end_pair; ++pair) {
    const int64_t b = pair / p.heads;
    const int64_t head = pair % p.heads;
    const int64_t begin = starts[b];
    const int64_t end = starts[b + 1];
    if (!IsSound(p, tokens, b, begin, end)) {
      run.fault.Report(run.step_index, end, rows + 1);
      continue;
    }
    if (begin == end) continue;
    const int64_t key = key_starts == nullptr ? begin : key_starts[b];
    if (key < begin || key >= end) {
      run.fault.Report(run.step_index, key, rows);
      continue;
    }
    if (!SeesKeys(p, tokens, begin, key)) {
      run.fault.Report(run.step_index, tokens[key] - b * p.row_tokens,
                       p.is_causal != 0 ? 1 : p.window, FaultCause::kMask);
      continue;
    }
    const float* bias = run.operand<float>(kBias);
    if (bias != nullptr) {
      bias += ((p.bias_batch == 1 ? 0 : b) * p.bias_heads + (p.bias_heads == 1 ? 0 : head)) *
              p.bias_rows * p.row_tokens;
    }
    (run.kernels.*kKind.kernel)({.q = run.operand<float>(kQ) + head * p.key_size,
                                 .q_stride = p.q_stride,
                                 .k = run.operand<float>(kK) + head / group * p.key_size,
                                 .k_stride = p.k_stride,
                                 .v = run.operand<float>(kV) + head / group * p.value_size,
                                 .v_stride = p.v_stride,
                                 .tokens = tokens,
                                 .first_token = b * p.row_tokens,
                                 .bias = bias,
                                 .bias_stride = p.bias_rows == 1 ? 0 : p.row_tokens,
                                 .out = run.operand<float>(kOut) + head * p.value_size,
                                 .out_stride = p.out_stride,
                                 .row_begin = begin,
                                 .row_end = end,
                                 .key_size = p.key_size,
                                 .value_size = p.value_size,
                                 .scale = p.scale,
                                 .softcap = p.softcap,
                                 .window = p.window,
                                 .is_causal = p.is_causal != 0,
                                 .query_rows = key - begin,
                                 .scratch = reinterpret_cast<float*>(run.scratch)});
  }
}

}  // namespace

extern constexpr StepDefinition kPackedAttentionStep = {
    "packed_attention", sizeof(PackedAttentionParams), kOperandCount, Check<kF32>, Run<kF32>};
extern constexpr StepDefinition kPackedAttentionBf16Step = {
    "packed_attention_bf16", sizeof(PackedAttentionParams), kOperandCount, Check<kBf16>,
    Run<kBf16>};

}  // namespace qeff::cpu
