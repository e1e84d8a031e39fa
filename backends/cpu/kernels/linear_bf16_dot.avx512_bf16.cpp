// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/dequantise_body.h"
#include "backends/cpu/kernels/linear_bf16_dot_body.h"
#include "backends/cpu/kernels/quant_ops_avx512_vbmi.h"

namespace qeff::cpu {

void LinearBf16DotAvx512Bf16(const LinearArgs& args) {
  RunLinearBf16Rows<LinearBf16DotFormat<PairRows>, QuantOpsVbmi>(args);
}

}  // namespace qeff::cpu
