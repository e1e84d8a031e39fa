// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/runtime/step.h"
#include "backends/cpu/runtime/step_params.h"

namespace qeff::cpu {
namespace {

enum { kX, kPositions, kOut, kOperandCount };

void Check(StepCheck& check) {
  const auto p = check.params_as<SelectRowsParams>();
  check.RequireSizes({p.batch, p.tokens, p.keep, p.width, p.x_stride});
  check.Require(p.keep <= p.tokens, "more rows to keep than there are");
  const int64_t rows = Product({p.batch, p.tokens});
  check.Read(kX, StridedExtent(rows, p.x_stride, p.width), 4);
  check.ReadIndices(kPositions, rows);
  check.Write(kOut, Product({p.batch, p.keep, p.width}), 4);
  check.Done(p.batch);
}

void Run(const StepRun& run) {
  const auto p = run.params_as<SelectRowsParams>();
  for (int64_t b = run.begin; b < run.end; ++b) {
    const int64_t* positions = run.operand<int64_t>(kPositions) + b * p.tokens;
    int64_t last = 0;
    for (int64_t t = 1; t < p.tokens; ++t) {
      if (positions[t] > positions[last]) last = t;
    }
    const int64_t first = last + 1 < p.keep ? 0 : last + 1 - p.keep;
    for (int64_t i = 0; i < p.keep; ++i) {
      std::memcpy(run.operand<float>(kOut) + (b * p.keep + i) * p.width,
                  run.operand<float>(kX) + (b * p.tokens + first + i) * p.x_stride,
                  static_cast<size_t>(p.width) * 4);
    }
  }
}

}  // namespace

extern constexpr StepDefinition kSelectRowsStep = {"select_rows", sizeof(SelectRowsParams),
                                                   kOperandCount, Check, Run};

}  // namespace qeff::cpu
