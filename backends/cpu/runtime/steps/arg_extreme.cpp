// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/runtime/step.h"
#include "backends/cpu/runtime/step_params.h"

namespace qeff::cpu {
namespace {

enum { kX, kOut, kOperandCount };

int64_t Units(const ArgExtremeParams& p) { return Product({RunCount(p.dims), RunLength(p.dims)}); }

void Check(StepCheck& check) {
  const auto p = check.params_as<ArgExtremeParams>();
  const auto dtype = static_cast<DType>(p.dtype);
  if (dtype != DType::kF32 && dtype != DType::kI64 && dtype != DType::kI32) {
    check.Require(false, "unknown dtype");
    return;
  }
  RequireStrided(check, p.dims, p.strides);
  check.RequireSizes({p.length, p.stride});
  check.Require(p.length > 0, "nothing to choose from");
  const int64_t outer = StridedElements(p.dims, p.strides);
  check.Read(kX, outer == 0 ? 0 : outer + StridedExtent(p.length, p.stride, 1) - 1,
             DTypeBits(dtype) / 8);
  check.Write(kOut, Units(p), 8);
  check.Done(Units(p));
}

template <typename T>
int64_t Choose(const ArgExtremeParams& p, const T* x) {
  int64_t best = 0;
  for (int64_t i = 1; i < p.length; ++i) {
    const T value = x[i * p.stride];
    const T old = x[best * p.stride];
    if (old != old) break;
    const bool is_better = value != value || (p.wants_smallest != 0 ? value < old : value > old);
    if (is_better || (p.wants_last != 0 && value == old)) best = i;
  }
  return best;
}

template <typename T>
void Loop(const StepRun& run, const ArgExtremeParams& p) {
  const int64_t length = RunLength(p.dims);
  for (int64_t i = run.begin; i < run.end; ++i) {
    const int64_t offset =
        RunOffset(p.dims, p.strides, i / length) + i % length * RunStride(p.strides);
    run.operand<int64_t>(kOut)[i] = Choose(p, run.operand<T>(kX) + offset);
  }
}

void Run(const StepRun& run) {
  const auto p = run.params_as<ArgExtremeParams>();
  if (static_cast<DType>(p.dtype) == DType::kF32) {
    Loop<float>(run, p);
  } else if (static_cast<DType>(p.dtype) == DType::kI32) {
    Loop<int32_t>(run, p);
  } else {
    Loop<int64_t>(run, p);
  }
}

}  // namespace

extern constexpr StepDefinition kArgExtremeStep = {"arg_extreme", sizeof(ArgExtremeParams),
                                                   kOperandCount, Check, Run};

}  // namespace qeff::cpu
