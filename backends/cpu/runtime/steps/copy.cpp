// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/runtime/convert.h"
#include "backends/cpu/runtime/step.h"
#include "backends/cpu/runtime/step_params.h"

namespace qeff::cpu {
namespace {

enum { kFrom, kTo, kOperandCount };

bool IsKnown(StoredDType dtype) {
  return dtype >= 0 && dtype < kDTypeCount && IsConvertible(static_cast<DType>(dtype));
}

int64_t BytesOf(StoredDType dtype) { return DTypeBits(static_cast<DType>(dtype)) / 8; }

void Check(StepCheck& check) {
  const auto p = check.params_as<CopyParams>();
  RequireStrided(check, p.dims, p.from_strides);
  RequireDistinct(check, p.dims, p.to_strides);
  if (!IsKnown(p.from_dtype) || !IsKnown(p.to_dtype)) {
    check.Require(false, "unknown dtype");
    return;
  }
  check.Read(kFrom, StridedElements(p.dims, p.from_strides), BytesOf(p.from_dtype));
  check.Write(kTo, StridedElements(p.dims, p.to_strides), BytesOf(p.to_dtype));
  check.Done(RunCount(p.dims));
}

void Run(const StepRun& run) {
  const auto p = run.params_as<CopyParams>();
  const int64_t from_bytes = BytesOf(p.from_dtype);
  const int64_t to_bytes = BytesOf(p.to_dtype);
  const int64_t count = RunLength(p.dims);
  const bool is_plain =
      p.from_dtype == p.to_dtype && RunStride(p.to_strides) == 1 && RunStride(p.from_strides) == 1;
  for (int64_t unit = run.begin; unit < run.end; ++unit) {
    const std::byte* from =
        run.operands[kFrom] + RunOffset(p.dims, p.from_strides, unit) * from_bytes;
    std::byte* to = run.operands[kTo] + RunOffset(p.dims, p.to_strides, unit) * to_bytes;
    if (is_plain) {
      std::memcpy(to, from, static_cast<size_t>(count * to_bytes));
    } else {
      ConvertRun(static_cast<DType>(p.from_dtype), from, RunStride(p.from_strides),
                 static_cast<DType>(p.to_dtype), to, RunStride(p.to_strides), count);
    }
  }
}

}  // namespace

extern constexpr StepDefinition kCopyStep = {"copy", sizeof(CopyParams), kOperandCount, Check, Run};

}  // namespace qeff::cpu
