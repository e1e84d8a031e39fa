// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "backends/cpu/runtime/step.h"
#include "backends/cpu/runtime/step_params.h"

namespace qeff::cpu {
namespace {

enum { kX, kRowStarts, kOut, kOperandCount };

void Check(StepCheck& check) {
  const auto p = check.params_as<SumTokensParams>();
  check.RequireSizes({p.batch, p.row_tokens, p.width});
  check.Read(kX, Product({p.batch, p.row_tokens, p.width}), 4);
  check.ReadIndices(kRowStarts, p.batch + 1);
  check.Write(kOut, Product({p.batch, p.width}), 4);
  check.Done(p.width);
}

/// Threads divide the columns, not the texts: there may be fewer texts than threads.
void Run(const StepRun& run) {
  const auto p = run.params_as<SumTokensParams>();
  const int64_t* starts = run.operand<int64_t>(kRowStarts);
  const int64_t rows = p.batch * p.row_tokens;
  for (int64_t b = 0; b < p.batch; ++b) {
    float* out = run.operand<float>(kOut) + b * p.width;
    const int64_t first = starts[b];
    const int64_t end = starts[b + 1];
    std::fill(out + run.begin, out + run.end, 0.0f);
    if (first < 0 || end > rows) {
      run.fault.Report(run.step_index, first < 0 ? first : end, rows + 1);
      continue;
    }
    for (int64_t n = first; n < end; ++n) {
      const float* x = run.operand<float>(kX) + n * p.width;
      for (int64_t c = run.begin; c < run.end; ++c) out[c] += x[c];
    }
  }
}

}  // namespace

extern constexpr StepDefinition kSumTokensStep = {"sum_tokens", sizeof(SumTokensParams),
                                                  kOperandCount, Check, Run};

}  // namespace qeff::cpu
