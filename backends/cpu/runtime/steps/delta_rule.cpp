// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/runtime/row_state.h"
#include "backends/cpu/runtime/step_params.h"

namespace qeff::cpu {
namespace {

enum { kQ, kK, kV, kDecay, kBeta, kPositions, kState, kStateIndex, kOut, kOperandCount };

void Check(StepCheck& check) {
  const auto p = check.params_as<DeltaRuleParams>();
  check.RequireSizes({p.batch, p.tokens, p.key_heads, p.value_heads, p.key_size, p.value_size,
                      p.state_rows, p.q_stride, p.k_stride, p.v_stride, p.decay_stride,
                      p.beta_stride, p.out_stride});
  check.Require(p.key_heads >= 1 && p.value_heads % p.key_heads == 0,
                "value heads are no multiple of key heads");
  check.Require(check.has(kState) == (p.state_rows > 0), "a state and its rows do not agree");
  check.Require(p.state_rows == 0 || check.has(kStateIndex) || p.batch <= p.state_rows,
                "the batch is larger than the state's");
  const int64_t rows = Product({p.batch, p.tokens});
  const int64_t key_width = Product({p.key_heads, p.key_size});
  const int64_t value_width = Product({p.value_heads, p.value_size});
  check.Require(value_width <= p.out_stride || rows <= 1, "rows of the result overlap");
  check.Read(kQ, StridedExtent(rows, p.q_stride, key_width), 4);
  check.Read(kK, StridedExtent(rows, p.k_stride, key_width), 4);
  check.Read(kV, StridedExtent(rows, p.v_stride, value_width), 4);
  check.Read(kDecay, StridedExtent(rows, p.decay_stride, p.value_heads), 4);
  check.Read(kBeta, StridedExtent(rows, p.beta_stride, p.value_heads), 4);
  check.ReadIndices(kPositions, rows);
  if (p.state_rows > 0) {
    check.Write(kState, Product({p.state_rows, p.value_heads, p.key_size, p.value_size}), 4);
  }
  check.ReadOptionalIndices(kStateIndex, p.batch);
  check.Write(kOut, StridedExtent(rows, p.out_stride, value_width), 4);
  check.Done(Product({p.batch, p.value_heads}), Product({DeltaRuleScratchFloats(p.key_size), 4}));
}

void Run(const StepRun& run) {
  const auto p = run.params_as<DeltaRuleParams>();
  const int64_t state_size = p.key_size * p.value_size;
  for (int64_t unit = run.begin; unit < run.end; ++unit) {
    const int64_t b = unit / p.value_heads;
    const int64_t head = unit % p.value_heads;
    const int64_t key_channel = head / (p.value_heads / p.key_heads) * p.key_size;
    const int64_t row = b * p.tokens;
    const int64_t* positions = run.operand<int64_t>(kPositions) + row;
    float* state = nullptr;
    if (p.state_rows > 0) {
      const int64_t state_row =
          FindStateRow(run, run.operand<int64_t>(kStateIndex), b, p.state_rows);
      if (state_row < 0) continue;
      state = run.operand<float>(kState) + (state_row * p.value_heads + head) * state_size;
    }
    run.kernels.delta_rule(
        {.q = run.operand<float>(kQ) + row * p.q_stride + key_channel,
         .q_stride = p.q_stride,
         .k = run.operand<float>(kK) + row * p.k_stride + key_channel,
         .k_stride = p.k_stride,
         .v = run.operand<float>(kV) + row * p.v_stride + head * p.value_size,
         .v_stride = p.v_stride,
         .decay = run.operand<float>(kDecay) + row * p.decay_stride + head,
         .decay_stride = p.decay_stride,
         .beta = run.operand<float>(kBeta) + row * p.beta_stride + head,
         .beta_stride = p.beta_stride,
         .positions = positions,
         .state = state,
         .starts = RowStateOf(positions, p.tokens).starts ? 1 : 0,
         .out = run.operand<float>(kOut) + row * p.out_stride + head * p.value_size,
         .out_stride = p.out_stride,
         .tokens = p.tokens,
         .key_size = p.key_size,
         .value_size = p.value_size,
         .scratch = reinterpret_cast<float*>(run.scratch)});
  }
}

}  // namespace

extern constexpr StepDefinition kDeltaRuleStep = {"delta_rule", sizeof(DeltaRuleParams),
                                                  kOperandCount, Check, Run};

}  // namespace qeff::cpu
