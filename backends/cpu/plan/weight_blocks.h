// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Reading the rows of a weight [N, K] as f32 in blocks of bounded size, and laying them out as
// panels.
#pragma once

#include <functional>

#include "backends/cpu/runtime/step_params.h"
#include "lib/ir/weight.h"
#include "lib/support/status.h"

namespace qeff::cpu {

/// Panels that are read at a time: at least one, about 8 MiB, so that slices of transposed matrices
/// touch each source page few times.
int64_t PanelsPerBlock(int64_t depth);

/// Reads rows [first, first + count) of `weight` [N, K] as f32 into `out` [count, K]; rows past the
/// end are zeros.
Status ReadRowsF32(const ir::Weight& weight, int64_t first, int64_t count, std::vector<float>& out);

/// Returns true if every element is a bf16 value exactly. Stops at the first that is not.
Result<bool> IsExactlyBf16(const ir::Weight& weight);

/// Writes `rows` [32, depth] as one panel (see kernels/kernels.h) to `out`, PanelBytes(depth,
/// format) long.
void LayOutPanel(const float* rows, int64_t depth, WeightFormat format, std::byte* out);
int64_t PanelBytes(int64_t depth, WeightFormat format);

}  // namespace qeff::cpu
