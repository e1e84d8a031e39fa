// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/linear_quant_mmla_body.h"

namespace qeff::cpu {

void LinearInt4NeonBf16(const LinearArgs& args) { RunQuantLinearMmla<Int4Panel>(args); }

}  // namespace qeff::cpu
