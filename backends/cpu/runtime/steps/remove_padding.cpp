// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "backends/cpu/runtime/step.h"
#include "backends/cpu/runtime/step_params.h"

namespace qeff::cpu {
namespace {

enum { kX, kTokenIndex, kOut, kOperandCount };

void Check(StepCheck& check) {
  const auto p = check.params_as<RemovePaddingParams>();
  check.RequireSizes({p.rows, p.source_rows, p.row_bytes});
  check.Require(p.source_rows > 0 || p.rows == 0, "there are no rows to take");
  check.Read(kX, Product({p.source_rows, p.row_bytes}), 1);
  check.ReadIndices(kTokenIndex, p.rows);
  check.Write(kOut, Product({p.rows, p.row_bytes}), 1);
  check.Done(p.rows);
}

void Run(const StepRun& run) {
  const auto p = run.params_as<RemovePaddingParams>();
  const int64_t* index = run.operand<int64_t>(kTokenIndex);
  for (int64_t n = run.begin; n < run.end; ++n) {
    std::byte* out = run.operands[kOut] + n * p.row_bytes;
    if (index[n] < 0) {
      std::memset(out, 0, static_cast<size_t>(p.row_bytes));
    } else {
      std::memcpy(out, run.operands[kX] + index[n] % p.source_rows * p.row_bytes,
                  static_cast<size_t>(p.row_bytes));
    }
  }
}

}  // namespace

extern constexpr StepDefinition kRemovePaddingStep = {"remove_padding",
                                                      sizeof(RemovePaddingParams),
                                                      kOperandCount,
                                                      Check,
                                                      Run,
                                                      LimitOfRows<RemovePaddingParams>()};

}  // namespace qeff::cpu
