// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Laying out the rows of a weight [N, K], or of each matrix of a stack [X, N, K], as panels, in
// blocks of bounded size.
#pragma once

#include <cstddef>
#include <vector>

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

/// Panels that are read at a time: at least one, about 16 MiB of f32, so that slices of transposed
/// matrices touch each source page few times.
int64_t PanelsPerBlock(int64_t depth);

/// True if the elements are kept as f16 where the weight comes from, perhaps converted to f32.
bool IsStoredAsF16(const ir::WeightPtr& weight);
/// Returns true if every element is a bf16 value exactly. Stops at the first that is not. Lets go
/// of the file pages of each matrix after it.
Result<bool> IsExactlyBf16(const ir::WeightPtr& weight);

/// Panels [first, first + count) of matrix `matrix` of a stack.
struct PanelBlock {
  int64_t matrix = 0;
  int64_t first = 0;
  int64_t count = 0;
};
/// Lays the rows of the weight out as panels (see kernels/kernels.h), panel i of the block at
/// out + i * stride_bytes, all of its PanelBytes(format, K); rows past the end of the matrix are
/// zeros. Reads them where they lie in a file if they lie there as the format takes them, else
/// through `scratch`, which holds the rows of a block and is the caller's to keep. Several threads
/// may call it at the same time.
Status PackPanels(const ir::WeightPtr& weight, const PanelBlock& block, WeightFormat format,
                  std::vector<std::byte>& scratch, std::byte* out, int64_t stride_bytes);

}  // namespace qeff::cpu
