// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Loops over operands of the same dims with strides of their own: what the steps of ordinary ONNX
// ops share. A unit is one run along the last dimension.
#pragma once

#include <array>
#include <cstdint>

#include "backends/cpu/runtime/step.h"

namespace qeff::cpu {

inline constexpr int kMaxStepRank = 8;

/// Dims are filled up at the front with ones; stride 0 repeats an element.
struct StepDims {
  std::array<int64_t, kMaxStepRank> sizes = {1, 1, 1, 1, 1, 1, 1, 1};
};
struct StepStrides {
  std::array<int64_t, kMaxStepRank> strides = {};
};

inline int64_t RunLength(const StepDims& dims) { return dims.sizes[kMaxStepRank - 1]; }
inline int64_t RunStride(const StepStrides& strides) { return strides.strides[kMaxStepRank - 1]; }

/// Number of runs, saturating; 0 if they are empty.
int64_t RunCount(const StepDims& dims);
/// Elements from the first to the end of the last one, saturating; 0 if empty. Requires checked
/// sizes.
int64_t StridedElements(const StepDims& dims, const StepStrides& strides);
/// Fails the check unless sizes and strides are in range.
void RequireStrided(StepCheck& check, const StepDims& dims, const StepStrides& strides);
/// The same, and no element may repeat: for operands that are written, and for axes that are
/// summed, so that the work is bounded by the memory.
void RequireDistinct(StepCheck& check, const StepDims& dims, const StepStrides& strides);

/// Element offset of run `unit`.
inline int64_t RunOffset(const StepDims& dims, const StepStrides& strides, int64_t unit) {
  int64_t offset = 0;
  for (int i = kMaxStepRank - 2; i >= 0; --i) {
    if (dims.sizes[i] == 1) continue;
    offset += unit % dims.sizes[i] * strides.strides[i];
    unit /= dims.sizes[i];
  }
  return offset;
}

/// For parameters with a member `dims` whose runs are the rows.
template <typename Params>
constexpr RowLimit LimitOfRuns() {
  return {[](const std::byte* bytes, int64_t total) {
            Params params;
            std::memcpy(&params, bytes, sizeof(params));
            return params.dims.sizes[kMaxStepRank - 2] == total && RunCount(params.dims) == total;
          },
          [](std::byte* bytes, int64_t, int64_t rows) {
            Params params;
            std::memcpy(&params, bytes, sizeof(params));
            params.dims.sizes[kMaxStepRank - 2] = rows;
            std::memcpy(bytes, &params, sizeof(params));
            return rows;
          }};
}

}  // namespace qeff::cpu
