// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/rows_body.h"

namespace qeff::cpu {

void NormAvx2(const NormArgs& args) { RunNorm(args); }

}  // namespace qeff::cpu
