// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/runtime/step.h"
#include "backends/cpu/runtime/step_params.h"

namespace qeff::cpu {
namespace {

enum { kX, kOut, kOperandCount };

void Check(StepCheck& check) {
  const auto p = check.params_as<CumulativeSumParams>();
  const auto dtype = static_cast<DType>(p.dtype);
  if (dtype != DType::kF32 && dtype != DType::kI64) {
    check.Require(false, "unknown dtype");
    return;
  }
  check.RequireSizes({p.outer, p.length, p.inner});
  const int64_t count = Product({p.outer, p.length, p.inner});
  check.Read(kX, count, DTypeBits(dtype) / 8);
  check.Write(kOut, count, DTypeBits(dtype) / 8);
  check.Done(p.outer);
}

template <typename T, typename Sum>
void Loop(const StepRun& run, const CumulativeSumParams& p) {
  for (int64_t series = run.begin * p.inner; series < run.end * p.inner; ++series) {
    const int64_t start = series / p.inner * p.length * p.inner + series % p.inner;
    Sum sum{};
    for (int64_t i = 0; i < p.length; ++i) {
      const int64_t at = start + (p.is_reverse != 0 ? p.length - 1 - i : i) * p.inner;
      const auto value = static_cast<Sum>(run.operand<T>(kX)[at]);
      run.operand<T>(kOut)[at] = static_cast<T>(p.is_exclusive != 0 ? sum : sum + value);
      sum += value;
    }
  }
}

void Run(const StepRun& run) {
  const auto p = run.params_as<CumulativeSumParams>();
  if (static_cast<DType>(p.dtype) == DType::kF32) {
    Loop<float, double>(run, p);
  } else {
    Loop<int64_t, uint64_t>(run, p);
  }
}

}  // namespace

extern constexpr StepDefinition kCumulativeSumStep = {"cumulative_sum", sizeof(CumulativeSumParams),
                                                      kOperandCount, Check, Run};

}  // namespace qeff::cpu
