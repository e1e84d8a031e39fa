// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/runtime/step.h"
#include "backends/cpu/runtime/step_params.h"

namespace qeff::cpu {
namespace {

enum { kX, kValues, kIndices, kOperandCount };

int64_t Units(const TopKParams& p) { return Product({RunCount(p.dims), RunLength(p.dims)}); }

void Check(StepCheck& check) {
  const auto p = check.params_as<TopKParams>();
  RequireStrided(check, p.dims, p.strides);
  check.RequireSizes({p.length, p.stride, p.count});
  check.Require(p.count <= p.length, "more elements wanted than there are");
  const int64_t outer = StridedElements(p.dims, p.strides);
  const int64_t run = StridedExtent(p.length, p.stride, 1);
  check.Read(kX, outer == 0 || run == 0 ? 0 : outer + run - 1, 4);
  check.Write(kValues, Product({Units(p), p.count}), 4);
  check.Write(kIndices, Product({Units(p), p.count}), 8);
  check.Done(Units(p));
}

bool IsBetter(const TopKParams& p, float a, float b) {
  if (a != a || b != b) return p.wants_smallest != 0 ? b != b && a == a : a != a && b == b;
  return p.wants_smallest != 0 ? a < b : a > b;
}

/// Keeps the best so far in order; each new element moves up past the worse ones.
void Select(const TopKParams& p, const float* x, float* values, int64_t* indices) {
  int64_t kept = 0;
  for (int64_t i = 0; i < p.length; ++i) {
    const float value = x[i * p.stride];
    if (kept == p.count && !IsBetter(p, value, values[kept - 1])) continue;
    int64_t at = kept < p.count ? kept++ : kept - 1;
    for (; at > 0 && IsBetter(p, value, values[at - 1]); --at) {
      values[at] = values[at - 1];
      indices[at] = indices[at - 1];
    }
    values[at] = value;
    indices[at] = i;
  }
}

void Run(const StepRun& run) {
  const auto p = run.params_as<TopKParams>();
  const int64_t length = RunLength(p.dims);
  for (int64_t i = run.begin; i < run.end && p.count > 0; ++i) {
    const int64_t offset =
        RunOffset(p.dims, p.strides, i / length) + i % length * RunStride(p.strides);
    Select(p, run.operand<float>(kX) + offset, run.operand<float>(kValues) + i * p.count,
           run.operand<int64_t>(kIndices) + i * p.count);
  }
}

}  // namespace

extern constexpr StepDefinition kTopKStep = {"top_k", sizeof(TopKParams), kOperandCount, Check,
                                             Run};

}  // namespace qeff::cpu
