// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "backends/cpu/runtime/step.h"
#include "backends/cpu/runtime/step_params.h"

namespace qeff::cpu {
namespace {

enum { kMask, kTokenIndex, kRowStarts, kOperandCount };

void Check(StepCheck& check) {
  const auto p = check.params_as<TokenIndexParams>();
  check.RequireSizes({p.batch, p.row_tokens});
  check.Read(kMask, Product({p.batch, p.row_tokens}), 8);
  check.Write(kTokenIndex, Product({p.batch, p.row_tokens}), 8);
  check.Write(kRowStarts, p.batch + 1, 8);
  check.Done(1);
}

void Run(const StepRun& run) {
  const auto p = run.params_as<TokenIndexParams>();
  const int64_t* mask = run.operand<int64_t>(kMask);
  int64_t* index = run.operand<int64_t>(kTokenIndex);
  int64_t* starts = run.operand<int64_t>(kRowStarts);
  const int64_t rows = p.batch * p.row_tokens;
  int64_t count = 0;
  for (int64_t b = 0; b < p.batch; ++b) {
    starts[b] = count;
    for (int64_t i = b * p.row_tokens; i < (b + 1) * p.row_tokens; ++i) {
      if (mask[i] != 0) index[count++] = i;
    }
  }
  starts[p.batch] = count;
  std::fill(index + count, index + rows, -1);
}

}  // namespace

extern constexpr StepDefinition kTokenIndexStep = {"token_index", sizeof(TokenIndexParams),
                                                   kOperandCount, Check, Run};

}  // namespace qeff::cpu
