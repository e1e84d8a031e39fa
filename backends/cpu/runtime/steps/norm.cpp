// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/runtime/step.h"
#include "backends/cpu/runtime/step_params.h"

namespace qeff::cpu {
namespace {

enum { kX, kGamma, kBeta, kOut, kOperandCount };

void Check(StepCheck& check) {
  const auto p = check.params_as<NormParams>();
  check.RequireSizes({p.rows, p.groups, p.group_size, p.x_stride, p.out_stride});
  check.Require(p.norm == NormKind::kRms || p.norm == NormKind::kLayer, "unknown norm");
  check.Require(p.group_size > 0, "a group has no channels");
  const int64_t width = Product({p.groups, p.group_size});
  check.Require(width <= p.out_stride || p.rows <= 1, "rows of the result overlap");
  check.Read(kX, StridedExtent(p.rows, p.x_stride, width), 4);
  check.ReadOptional(kGamma, p.group_size, 4);
  check.ReadOptional(kBeta, p.group_size, 4);
  check.Write(kOut, StridedExtent(p.rows, p.out_stride, width), 4);
  check.Done(p.rows);
}

void Run(const StepRun& run) {
  const auto p = run.params_as<NormParams>();
  run.kernels.norm({.x = run.operand<float>(kX) + run.begin * p.x_stride,
                    .x_stride = p.x_stride,
                    .out = run.operand<float>(kOut) + run.begin * p.out_stride,
                    .out_stride = p.out_stride,
                    .rows = run.end - run.begin,
                    .groups = p.groups,
                    .group_size = p.group_size,
                    .gamma = run.operand<float>(kGamma),
                    .beta = run.operand<float>(kBeta),
                    .epsilon = p.epsilon,
                    .subtract_mean = p.norm == NormKind::kLayer ? 1 : 0});
}

}  // namespace

extern constexpr StepDefinition kNormStep = {"norm", sizeof(NormParams),       kOperandCount, Check,
                                             Run,    LimitOfRows<NormParams>()};

}  // namespace qeff::cpu
