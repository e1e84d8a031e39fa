// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What steps with a recurrent state ask about a row of the call.
#pragma once

#include "backends/cpu/runtime/step.h"

namespace qeff::cpu {

struct RowState {
  int64_t count = 0;    ///< tokens that are no padding
  bool starts = false;  ///< has position 0: the state before is zeros
};

inline RowState RowStateOf(const int64_t* positions, int64_t tokens) {
  RowState row;
  for (int64_t t = 0; t < tokens; ++t) {
    row.count += positions[t] >= 0 ? 1 : 0;
    row.starts |= positions[t] == 0;
  }
  return row;
}

/// The state row of batch row `b`; reports a fault and returns -1 if it is outside of the state.
inline int64_t FindStateRow(const StepRun& run, const int64_t* state_index, int64_t b,
                            int64_t state_rows) {
  const int64_t row = state_index == nullptr ? b : state_index[b];
  if (row >= 0 && row < state_rows) return row;
  run.fault.Report(run.step_index, row, state_rows);
  return -1;
}

}  // namespace qeff::cpu
