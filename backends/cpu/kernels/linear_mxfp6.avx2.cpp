// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/quant_ops_avx2.h"

namespace qeff::cpu {

void LinearMxfp6Avx2(const LinearArgs& args) { RunQuantLinearAvx2<Mxfp6Panel>(args); }

}  // namespace qeff::cpu
