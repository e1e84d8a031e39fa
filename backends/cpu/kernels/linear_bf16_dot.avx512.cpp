// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/dequantise_body.h"
#include "backends/cpu/kernels/linear_bf16_body.h"
#include "backends/cpu/kernels/linear_widened_body.h"
#include "backends/cpu/kernels/quant_ops_avx2.h"

namespace qeff::cpu {

void LinearBf16DotAvx512(const LinearArgs& args) {
  if (args.weight_format == WeightFormat::kBf16) {
    RunWidenedLinear<LinearBf16Format<Bf16Rows>, WidenedOperands>(args);
  } else {
    RunLinearDequantised<LinearBf16Format<Bf16Rows>, QuantOps>(args);
  }
}

}  // namespace qeff::cpu
