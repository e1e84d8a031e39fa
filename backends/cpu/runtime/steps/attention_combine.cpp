// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <limits>

#include "backends/cpu/runtime/step.h"
#include "backends/cpu/runtime/step_params.h"

namespace qeff::cpu {
namespace {

enum { kPartial, kSinks, kOut, kOperandCount };

void Check(StepCheck& check) {
  const auto p = check.params_as<AttentionCombineParams>();
  check.RequireSizes(
      {p.batch, p.tokens, p.heads, p.kv_heads, p.value_size, p.splits, p.out_stride});
  check.Require(p.kv_heads >= 1 && p.heads % p.kv_heads == 0,
                "query heads are no multiple of key-value heads");
  const int64_t tile_rows = p.kv_heads > 0 ? Product({p.tokens, p.heads / p.kv_heads}) : 0;
  check.Require(tile_rows <= kTileRows, "more rows than a tile has");
  const int64_t rows = Product({p.batch, p.tokens});
  const int64_t out_width = Product({p.heads, p.value_size});
  check.Require(out_width <= p.out_stride || rows <= 1, "rows of the result overlap");
  const int64_t units = Product({p.batch, p.kv_heads});
  check.Read(kPartial, Product({units, p.splits, kTileRows, p.value_size + 2}), 4);
  check.ReadOptional(kSinks, p.heads, 4);
  check.Write(kOut, StridedExtent(rows, p.out_stride, out_width), 4);
  check.Done(units);
}

/// One row of one head from its partial sums, `stride` apart.
void CombineRow(const AttentionCombineParams& p, const float* partial, int64_t stride,
                const float* sink, float* out) {
  float largest = sink == nullptr ? -std::numeric_limits<float>::infinity() : *sink;
  for (int64_t s = 0; s < p.splits; ++s) {
    if (partial[s * stride + 1] != 0) largest = std::max(largest, partial[s * stride]);
  }
  float total = 0;
  std::fill_n(out, p.value_size, 0.0f);
  bool sees = false;
  for (int64_t s = 0; s < p.splits; ++s) {
    const float* from = partial + s * stride;
    if (from[1] == 0) continue;
    sees = true;
    const float factor = std::exp(from[0] - largest);
    total += from[1] * factor;
    for (int64_t e = 0; e < p.value_size; ++e) out[e] += from[2 + e] * factor;
  }
  if (!sees) return;
  if (sink != nullptr) total += std::exp(*sink - largest);
  for (int64_t e = 0; e < p.value_size; ++e) out[e] /= total;
}

void Run(const StepRun& run) {
  const auto p = run.params_as<AttentionCombineParams>();
  const int64_t group = p.heads / p.kv_heads;
  const int64_t row_floats = p.value_size + 2;
  const int64_t stride = kTileRows * row_floats;
  const float* sinks = run.operand<float>(kSinks);
  for (int64_t unit = run.begin; unit < run.end; ++unit) {
    const int64_t batch = unit / p.kv_heads;
    for (int64_t r = 0; r < p.tokens * group; ++r) {
      const int64_t head = unit % p.kv_heads * group + r % group;
      CombineRow(p, run.operand<float>(kPartial) + unit * p.splits * stride + r * row_floats,
                 stride, sinks == nullptr ? nullptr : sinks + head,
                 run.operand<float>(kOut) + (batch * p.tokens + r / group) * p.out_stride +
                     head * p.value_size);
    }
  }
}

}  // namespace

extern constexpr StepDefinition kAttentionCombineStep = {
    "attention_combine", sizeof(AttentionCombineParams), kOperandCount, Check, Run};

}  // namespace qeff::cpu
