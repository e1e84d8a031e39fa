// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/quant_ops_avx512_vbmi.h"

namespace qeff::cpu {

void LinearMxfp6Avx512Bf16(const LinearArgs& args) {
  RunQuantLinear<QuantOpsVbmi, Mxfp6Panel>(args);
}

}  // namespace qeff::cpu
