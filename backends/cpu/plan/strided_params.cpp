// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/plan/strided_params.h"

namespace qeff::cpu {

StepDims StepDimsOf(const std::vector<int64_t>& dims) {
  StepDims result;
  for (size_t i = 0; i < dims.size(); ++i) {
    result.sizes[kMaxStepRank - dims.size() + i] = dims[i];
  }
  return result;
}

StepStrides StepStridesFor(const View& view, const std::vector<int64_t>& dims) {
  StepStrides result;
  for (size_t i = 0; i < view.dims.size(); ++i) {
    const size_t from_end = view.dims.size() - i;
    const bool repeats = view.dims[i] == 1 || from_end > dims.size();
    result.strides[kMaxStepRank - from_end] = repeats ? 0 : view.strides[i];
  }
  return result;
}

}  // namespace qeff::cpu
