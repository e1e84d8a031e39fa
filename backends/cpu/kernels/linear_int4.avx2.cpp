// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/quant_ops_avx2.h"

namespace qeff::cpu {

void LinearInt4Avx2(const LinearArgs& args) { RunQuantLinearAvx2<Int4Panel>(args); }

}  // namespace qeff::cpu
