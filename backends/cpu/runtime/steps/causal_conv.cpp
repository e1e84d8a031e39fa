// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "backends/cpu/runtime/row_state.h"
#include "backends/cpu/runtime/step_params.h"

namespace qeff::cpu {
namespace {

enum { kX, kWeight, kBias, kPositions, kState, kStateIndex, kOut, kOperandCount };

int64_t Blocks(const CausalConvParams& p) { return (p.channels + kConvBlock - 1) / kConvBlock; }

void Check(StepCheck& check) {
  const auto p = check.params_as<CausalConvParams>();
  check.RequireSizes(
      {p.batch, p.tokens, p.channels, p.taps, p.state_rows, p.x_stride, p.out_stride});
  check.Require(
      p.activation >= Activation::kNone && static_cast<int32_t>(p.activation) < kActivationCount,
      "unknown activation");
  check.Require(p.taps >= 1, "a convolution without taps");
  check.Require(check.has(kState) == (p.state_rows > 0), "a state and its rows do not agree");
  check.Require(p.state_rows == 0 || check.has(kStateIndex) || p.batch <= p.state_rows,
                "the batch is larger than the state's");
  const int64_t rows = Product({p.batch, p.tokens});
  check.Require(p.channels <= p.out_stride || rows <= 1, "rows of the result overlap");
  check.Read(kX, StridedExtent(rows, p.x_stride, p.channels), 4);
  check.Read(kWeight, Product({p.channels, p.taps}), 4);
  check.ReadOptional(kBias, p.channels, 4);
  check.ReadIndices(kPositions, rows);
  if (p.state_rows > 0) check.Write(kState, Product({p.state_rows, p.channels, p.taps}), 4);
  check.ReadOptionalIndices(kStateIndex, p.batch);
  check.Write(kOut, StridedExtent(rows, p.out_stride, p.channels), 4);
  const int64_t block_bytes = kConvBlock * static_cast<int64_t>(sizeof(float));
  check.Done(Product({p.batch, Blocks(p)}), Product({p.tokens + 2 * p.taps, block_bytes}));
}

/// One block of channels of one row. Rows of the scratch are kConvBlock floats: the taps of the
/// weight, then the state and the tokens.
class Block {
 public:
  Block(const StepRun& run, const CausalConvParams& p, int64_t b, int64_t first)
      : run_(run),
        p_(p),
        b_(b),
        first_(first),
        width_(std::min(kConvBlock, p.channels - first)),
        positions_(run.operand<int64_t>(kPositions) + b * p.tokens),
        row_(RowStateOf(positions_, p.tokens)),
        weights_(reinterpret_cast<float*>(run.scratch)),
        sequence_(weights_ + p.taps * kConvBlock) {}

  void Run(float* state) {
    Load(state);
    for (int64_t t = 0; t < p_.tokens; ++t) Convolve(t);
    if (state == nullptr || row_.count == 0) return;
    for (int64_t j = 0; j < p_.taps; ++j) {
      const float* column = sequence_ + (row_.count + j) * kConvBlock;
      for (int64_t c = 0; c < width_; ++c) state[(first_ + c) * p_.taps + j] = column[c];
    }
  }

 private:
  void Load(const float* state) {
    const float* weight = run_.operand<float>(kWeight);
    const bool is_zero = state == nullptr || row_.starts;
    for (int64_t j = 0; j < p_.taps; ++j) {
      for (int64_t c = 0; c < width_; ++c) {
        const int64_t at = (first_ + c) * p_.taps + j;
        weights_[j * kConvBlock + c] = weight[at];
        sequence_[j * kConvBlock + c] = is_zero ? 0 : state[at];
      }
    }
    for (int64_t t = 0; t < p_.tokens; ++t) {
      float* target = sequence_ + (p_.taps + t) * kConvBlock;
      const float* x = run_.operand<float>(kX) + (b_ * p_.tokens + t) * p_.x_stride + first_;
      if (positions_[t] < 0) {
        std::fill_n(target, width_, 0.0f);
      } else {
        std::copy_n(x, width_, target);
      }
    }
  }

  void Convolve(int64_t t) {
    float* out = run_.operand<float>(kOut) + (b_ * p_.tokens + t) * p_.out_stride + first_;
    const float* bias = run_.operand<float>(kBias);
    for (int64_t c = 0; c < width_; ++c) out[c] = bias == nullptr ? 0 : bias[first_ + c];
    for (int64_t j = 0; j < p_.taps; ++j) {
      const float* weight = weights_ + j * kConvBlock;
      const float* column = sequence_ + (t + 1 + j) * kConvBlock;
      for (int64_t c = 0; c < width_; ++c) out[c] += weight[c] * column[c];
    }
    if (p_.activation == Activation::kNone) return;
    run_.kernels.activate({.kind = p_.activation, .x = out, .out = out, .count = width_});
  }

  const StepRun& run_;
  const CausalConvParams& p_;
  int64_t b_;
  int64_t first_;
  int64_t width_;
  const int64_t* positions_;
  RowState row_;
  float* weights_;
  float* sequence_;
};

void Run(const StepRun& run) {
  const auto p = run.params_as<CausalConvParams>();
  const int64_t blocks = Blocks(p);
  for (int64_t unit = run.begin; unit < run.end; ++unit) {
    const int64_t b = unit / blocks;
    float* state = nullptr;
    if (p.state_rows > 0) {
      const int64_t row = FindStateRow(run, run.operand<int64_t>(kStateIndex), b, p.state_rows);
      if (row < 0) continue;
      state = run.operand<float>(kState) + row * p.channels * p.taps;
    }
    Block(run, p, b, unit % blocks * kConvBlock).Run(state);
  }
}

}  // namespace

extern constexpr StepDefinition kCausalConvStep = {"causal_conv", sizeof(CausalConvParams),
                                                   kOperandCount, Check, Run};

}  // namespace qeff::cpu
