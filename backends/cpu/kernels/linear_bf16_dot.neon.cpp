// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/dequantise_body.h"
#include "backends/cpu/kernels/linear_bf16_neon_body.h"
#include "backends/cpu/kernels/quant_ops_neon.h"

namespace qeff::cpu {

void LinearBf16DotNeon(const LinearArgs& args) {
  RunLinearBf16Rows<LinearBf16NeonFormat<Bf16RowsNeon>, QuantOpsNeon<1, ProductOfPairs>>(args);
}

}  // namespace qeff::cpu
