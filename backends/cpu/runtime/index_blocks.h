// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What the steps gather_blocks and scatter_blocks share: the place that a tuple of indices names.
#pragma once

#include "backends/cpu/runtime/step.h"
#include "backends/cpu/runtime/step_params.h"

namespace qeff::cpu {

/// Fails the check unless the parameters are sound; returns the elements that the indexed side must
/// have.
int64_t CheckIndexBlocks(StepCheck& check, const IndexBlocksParams& params);

/// Element offset of unit `unit`, or -1 after reporting an index that is out of range.
int64_t IndexedOffset(const StepRun& run, const IndexBlocksParams& params, const int64_t* indices,
                      int64_t unit);

}  // namespace qeff::cpu
