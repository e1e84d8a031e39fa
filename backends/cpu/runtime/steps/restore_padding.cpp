// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "backends/cpu/runtime/step.h"
#include "backends/cpu/runtime/step_params.h"

namespace qeff::cpu {
namespace {

enum { kX, kRowStarts, kMask, kOut, kOperandCount };

void Check(StepCheck& check) {
  const auto p = check.params_as<RestorePaddingParams>();
  check.RequireSizes({p.batch, p.row_tokens, p.row_bytes});
  check.Require(p.keeps_first == 0 || p.keeps_first == 1, "keeps_first is neither 0 nor 1");
  check.Read(kX, Product({p.batch, p.row_tokens, p.row_bytes}), 1);
  check.ReadIndices(kRowStarts, p.batch + 1);
  check.ReadIndices(kMask, Product({p.batch, p.row_tokens}));
  check.Write(kOut, Product({p.batch, p.row_tokens, p.row_bytes}), 1);
  check.Done(p.batch);
}

void Run(const StepRun& run) {
  const auto p = run.params_as<RestorePaddingParams>();
  const int64_t* mask = run.operand<int64_t>(kMask);
  const int64_t rows = p.batch * p.row_tokens;
  const auto row_bytes = static_cast<size_t>(p.row_bytes);
  for (int64_t b = run.begin; b < run.end; ++b) {
    const int64_t* starts = run.operand<int64_t>(kRowStarts) + b;
    const bool keeps_first = p.keeps_first != 0 && starts[1] > starts[0];
    int64_t n = starts[0];
    for (int64_t i = b * p.row_tokens; i < (b + 1) * p.row_tokens; ++i) {
      std::byte* out = run.operands[kOut] + i * p.row_bytes;
      const bool is_token = mask[i] != 0 || (keeps_first && i == b * p.row_tokens);
      if (is_token && (n < 0 || n >= rows)) run.fault.Report(run.step_index, n, rows);
      if (is_token && n >= 0 && n < rows) {
        std::memcpy(out, run.operands[kX] + n++ * p.row_bytes, row_bytes);
      } else {
        std::memset(out, 0, row_bytes);
      }
    }
  }
}

}  // namespace

extern constexpr StepDefinition kRestorePaddingStep = {
    "restore_padding", sizeof(RestorePaddingParams), kOperandCount, Check, Run};

}  // namespace qeff::cpu
