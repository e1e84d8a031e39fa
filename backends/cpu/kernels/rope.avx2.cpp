// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/rows_body.h"

namespace qeff::cpu {

void RopeAvx2(const RopeArgs& args) { RunRope(args); }

}  // namespace qeff::cpu
