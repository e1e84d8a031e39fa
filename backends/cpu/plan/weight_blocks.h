// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Reading the rows of a weight [N, K], or of each matrix of a stack [X, N, K], in blocks of bounded
// size, and laying them out as panels.
#pragma once

#include <functional>

#include "backends/cpu/runtime/step_params.h"
#include "lib/ir/weight.h"
#include "lib/support/status.h"

namespace qeff::cpu {

/// A weight seen as matrices: [N, K] is one.
struct MatrixStack {
  int64_t count = 1;  ///< X
  int64_t rows = 0;   ///< N
  int64_t depth = 0;  ///< K
};
/// Requires rank 2 or 3.
MatrixStack StackOf(const ir::Weight& weight);

/// Panels that are read at a time: at least one, about 8 MiB, so that slices of transposed matrices
/// touch each source page few times.
int64_t PanelsPerBlock(int64_t depth);

/// Rows [first, first + count) of matrix `matrix` of a stack.
struct RowBlock {
  int64_t matrix = 0;
  int64_t first = 0;
  int64_t count = 0;
};
/// Reads them as `dtype` (a float) into `out` [count, K]; rows past the end of the matrix are
/// zeros.
Status ReadRows(const ir::WeightPtr& weight, const RowBlock& block, DType dtype,
                std::vector<std::byte>& out);

/// True if the elements are kept as f16 where the weight comes from, perhaps converted to f32.
bool IsStoredAsF16(const ir::WeightPtr& weight);
/// Returns true if every element is a bf16 value exactly. Stops at the first that is not. Lets go
/// of the file pages of each matrix after it.
Result<bool> IsExactlyBf16(const ir::WeightPtr& weight);

/// What LayOutPanel takes rows as: bf16 for bf16 panels, f16 for f16 panels, else f32.
DType PanelRowDType(WeightFormat format);
/// Writes `rows` [32, depth] of PanelRowDType as one panel (see kernels/kernels.h), all of its
/// PanelBytes(format, depth).
void LayOutPanel(const std::byte* rows, int64_t depth, WeightFormat format, std::byte* out);

}  // namespace qeff::cpu
