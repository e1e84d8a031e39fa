// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/runtime/index_blocks.h"

namespace qeff::cpu {

int64_t CheckIndexBlocks(StepCheck& check, const IndexBlocksParams& p) {
  check.RequireSizes({p.units, p.tuple, p.block, p.tuple_count, p.outer_period, p.outer_stride,
                      p.inner_period, p.element_bytes});
  check.Require(p.tuple <= kMaxIndexTuple, "too many indices in a tuple");
  check.Require(p.tuple_count > 0 && p.outer_period > 0 && p.inner_period > 0, "a period is zero");
  check.Require(
      p.element_bytes == 1 || p.element_bytes == 2 || p.element_bytes == 4 || p.element_bytes == 8,
      "unknown element size");
  if (p.tuple < 0 || p.tuple > kMaxIndexTuple || p.units <= 0 || p.outer_period <= 0) return 0;
  StepDims dims;
  StepStrides strides;
  dims.sizes[0] = (p.units - 1) / p.outer_period + 1;
  strides.strides[0] = p.outer_stride;
  for (int64_t axis = 0; axis < p.tuple; ++axis) {
    dims.sizes[1 + axis] = p.sizes[axis];
    strides.strides[1 + axis] = p.strides[axis];
  }
  dims.sizes[kMaxStepRank - 2] = p.inner_period;
  strides.strides[kMaxStepRank - 2] = 1;
  dims.sizes[kMaxStepRank - 1] = p.block;
  strides.strides[kMaxStepRank - 1] = 1;
  RequireStrided(check, dims, strides);
  return StridedElements(dims, strides);
}

int64_t IndexedOffset(const StepRun& run, const IndexBlocksParams& p, const int64_t* indices,
                      int64_t unit) {
  const int64_t* tuple = indices + unit % p.tuple_count * p.tuple;
  int64_t offset = unit / p.outer_period * p.outer_stride + unit % p.inner_period;
  for (int64_t axis = 0; axis < p.tuple; ++axis) {
    const int64_t index = tuple[axis];
    const int64_t place = index < 0 ? index + p.sizes[axis] : index;
    if (place < 0 || place >= p.sizes[axis]) {
      run.fault.Report(run.step_index, index, p.sizes[axis]);
      return -1;
    }
    offset += place * p.strides[axis];
  }
  return offset;
}

}  // namespace qeff::cpu
