// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/runtime/step.h"
#include "backends/cpu/runtime/step_params.h"

namespace qeff::cpu {
namespace {

enum { kCondition, kA, kB, kOut, kOperandCount };

void Check(StepCheck& check) {
  const auto p = check.params_as<WhereParams>();
  if (p.element_bytes != 1 && p.element_bytes != 2 && p.element_bytes != 4 &&
      p.element_bytes != 8) {
    check.Require(false, "unknown element size");
    return;
  }
  RequireStrided(check, p.dims, p.condition_strides);
  RequireStrided(check, p.dims, p.a_strides);
  RequireStrided(check, p.dims, p.b_strides);
  RequireDistinct(check, p.dims, p.out_strides);
  check.Read(kCondition, StridedElements(p.dims, p.condition_strides), 1);
  check.Read(kA, StridedElements(p.dims, p.a_strides), p.element_bytes);
  check.Read(kB, StridedElements(p.dims, p.b_strides), p.element_bytes);
  check.Write(kOut, StridedElements(p.dims, p.out_strides), p.element_bytes);
  check.Done(RunCount(p.dims));
}

template <typename T>
void Loop(const StepRun& run, const WhereParams& p) {
  const int64_t count = RunLength(p.dims);
  for (int64_t unit = run.begin; unit < run.end; ++unit) {
    const uint8_t* condition =
        run.operand<uint8_t>(kCondition) + RunOffset(p.dims, p.condition_strides, unit);
    const T* a = run.operand<T>(kA) + RunOffset(p.dims, p.a_strides, unit);
    const T* b = run.operand<T>(kB) + RunOffset(p.dims, p.b_strides, unit);
    T* out = run.operand<T>(kOut) + RunOffset(p.dims, p.out_strides, unit);
    for (int64_t i = 0; i < count; ++i) {
      const bool takes_a = condition[i * RunStride(p.condition_strides)] != 0;
      out[i * RunStride(p.out_strides)] =
          takes_a ? a[i * RunStride(p.a_strides)] : b[i * RunStride(p.b_strides)];
    }
  }
}

void Run(const StepRun& run) {
  const auto p = run.params_as<WhereParams>();
  switch (p.element_bytes) {
    case 1:
      return Loop<uint8_t>(run, p);
    case 2:
      return Loop<uint16_t>(run, p);
    case 4:
      return Loop<uint32_t>(run, p);
    default:
      return Loop<uint64_t>(run, p);
  }
}

}  // namespace

extern constexpr StepDefinition kWhereStep = {"where", sizeof(WhereParams), kOperandCount, Check,
                                              Run};

}  // namespace qeff::cpu
