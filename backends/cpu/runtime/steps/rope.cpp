// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/runtime/step.h"
#include "backends/cpu/runtime/step_params.h"

namespace qeff::cpu {
namespace {

enum { kX, kCos, kSin, kOut, kOperandCount };

void Check(StepCheck& check) {
  const auto p = check.params_as<RopeParams>();
  check.RequireSizes(
      {p.rows, p.heads, p.head_size, p.rotary, p.x_stride, p.out_stride, p.table_stride});
  check.Require(p.rotary <= p.head_size && p.rotary % 2 == 0, "rotary channels do not fit a head");
  check.Require(p.head_size > 0, "a head has no channels");
  const int64_t width = Product({p.heads, p.head_size});
  check.Require(width <= p.out_stride || p.rows <= 1, "rows of the result overlap");
  check.Read(kX, StridedExtent(p.rows, p.x_stride, width), 4);
  check.Read(kCos, StridedExtent(p.rows, p.table_stride, p.rotary), 4);
  check.Read(kSin, StridedExtent(p.rows, p.table_stride, p.rotary), 4);
  check.Write(kOut, StridedExtent(p.rows, p.out_stride, width), 4);
  check.Done(p.rows);
}

void Run(const StepRun& run) {
  const auto p = run.params_as<RopeParams>();
  run.kernels.rope({.x = run.operand<float>(kX) + run.begin * p.x_stride,
                    .x_stride = p.x_stride,
                    .out = run.operand<float>(kOut) + run.begin * p.out_stride,
                    .out_stride = p.out_stride,
                    .cos = run.operand<float>(kCos) + run.begin * p.table_stride,
                    .sin = run.operand<float>(kSin) + run.begin * p.table_stride,
                    .table_stride = p.table_stride,
                    .rows = run.end - run.begin,
                    .heads = p.heads,
                    .head_size = p.head_size,
                    .rotary = p.rotary,
                    .interleaved = p.interleaved});
}

}  // namespace

extern constexpr StepDefinition kRopeStep = {"rope", sizeof(RopeParams),       kOperandCount, Check,
                                             Run,    LimitOfRows<RopeParams>()};

}  // namespace qeff::cpu
