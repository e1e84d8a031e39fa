// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/linear_quant_amx_body.h"
#include "backends/cpu/kernels/quant_ops_avx512_vbmi.h"

namespace qeff::cpu {

void LinearMxfp6Amx(const LinearArgs& args) { RunQuantLinearAmx<QuantOpsVbmi, Mxfp6Panel>(args); }

}  // namespace qeff::cpu
