// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/runtime/strided.h"

#include <algorithm>

namespace qeff::cpu {
namespace {

constexpr int64_t kFar = int64_t{1} << 58;

}  // namespace

int64_t RunCount(const StepDims& dims) {
  if (RunLength(dims) == 0) return 0;
  int64_t count = 1;
  for (int i = 0; i + 1 < kMaxStepRank; ++i) count = Product({count, dims.sizes[i]});
  return count;
}

int64_t StridedElements(const StepDims& dims, const StepStrides& strides) {
  int64_t last = 0;
  for (int i = 0; i < kMaxStepRank; ++i) {
    if (dims.sizes[i] == 0) return 0;
    const int64_t reach = Product({dims.sizes[i] - 1, strides.strides[i]});
    last += std::min(reach, kFar);  // eight of them do not overflow
  }
  return last + 1;
}

void RequireStrided(StepCheck& check, const StepDims& dims, const StepStrides& strides) {
  for (int i = 0; i < kMaxStepRank; ++i) check.RequireSizes({dims.sizes[i], strides.strides[i]});
}

void RequireDistinct(StepCheck& check, const StepDims& dims, const StepStrides& strides) {
  RequireStrided(check, dims, strides);
  check.Require(Product({RunCount(dims), RunLength(dims)}) <= StridedElements(dims, strides),
                "elements of a result repeat");
}

}  // namespace qeff::cpu
