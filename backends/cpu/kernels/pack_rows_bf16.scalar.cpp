// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/pack_rows_body.h"

namespace qeff::cpu {

void PackRowsBf16Scalar(const PackRowsArgs& args) { RunPackRowsBf16(args); }

}  // namespace qeff::cpu
