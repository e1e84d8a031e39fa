// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Views as the dims and strides that steps store.
#pragma once

#include "backends/cpu/plan/view.h"
#include "backends/cpu/runtime/strided.h"

namespace qeff::cpu {

/// Dims, filled up at the front with ones. Requires a rank of at most kMaxStepRank.
StepDims StepDimsOf(const std::vector<int64_t>& dims);
/// The strides with which `view` is read as `dims`, after ONNX's broadcasting rule: dimensions of
/// size 1 repeat.
StepStrides StepStridesFor(const View& view, const std::vector<int64_t>& dims);

}  // namespace qeff::cpu
