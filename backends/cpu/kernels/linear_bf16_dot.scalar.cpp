// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/dequantise_body.h"
#include "backends/cpu/kernels/linear_bf16_body.h"
#include "backends/cpu/kernels/quant_ops_scalar.h"

namespace qeff::cpu {

void LinearBf16DotScalar(const LinearArgs& args) {
  RunLinearBf16Rows<LinearBf16Format<Bf16Rows>, QuantOps>(args);
}

}  // namespace qeff::cpu
