// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/pack_rows_body.h"

namespace qeff::cpu {

void PackRowsF32Scalar(const PackRowsArgs& args) { RunPackRowsF32(args); }

}  // namespace qeff::cpu
