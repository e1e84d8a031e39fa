// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "backends/cpu/runtime/step.h"
#include "backends/cpu/runtime/step_params.h"

namespace qeff::cpu {
namespace {

enum { kX, kOut, kOperandCount };

int64_t Units(const SoftmaxParams& p) { return Product({RunCount(p.dims), RunLength(p.dims)}); }

void Check(StepCheck& check) {
  const auto p = check.params_as<SoftmaxParams>();
  RequireStrided(check, p.dims, p.x_strides);
  RequireDistinct(check, p.dims, p.out_strides);
  check.RequireSizes({p.length, p.x_stride, p.out_stride});
  const int64_t x_run = StridedExtent(p.length, p.x_stride, 1);
  const int64_t out_run = StridedExtent(p.length, p.out_stride, 1);
  const bool is_empty = p.length == 0 || Units(p) == 0;
  check.Read(kX, is_empty ? 0 : StridedElements(p.dims, p.x_strides) + x_run - 1, 4);
  check.Write(kOut, is_empty ? 0 : StridedElements(p.dims, p.out_strides) + out_run - 1, 4);
  check.Done(Units(p));
}

void SoftmaxRun(const SoftmaxParams& p, const float* x, float* out) {
  float largest = -INFINITY;
  for (int64_t i = 0; i < p.length; ++i) largest = std::fmax(largest, x[i * p.x_stride]);
  float sum = 0;
  for (int64_t i = 0; i < p.length; ++i) {
    const float value = std::exp(x[i * p.x_stride] - largest);
    out[i * p.out_stride] = value;
    sum += value;
  }
  for (int64_t i = 0; i < p.length; ++i) out[i * p.out_stride] /= sum;
}

void Run(const StepRun& run) {
  const auto p = run.params_as<SoftmaxParams>();
  const int64_t length = RunLength(p.dims);
  for (int64_t i = run.begin; i < run.end; ++i) {
    const int64_t x =
        RunOffset(p.dims, p.x_strides, i / length) + i % length * RunStride(p.x_strides);
    const int64_t out =
        RunOffset(p.dims, p.out_strides, i / length) + i % length * RunStride(p.out_strides);
    SoftmaxRun(p, run.operand<float>(kX) + x, run.operand<float>(kOut) + out);
  }
}

}  // namespace

extern constexpr StepDefinition kSoftmaxStep = {"softmax", sizeof(SoftmaxParams), kOperandCount,
                                                Check, Run};

}  // namespace qeff::cpu
