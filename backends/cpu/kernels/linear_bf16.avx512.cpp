// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/linear_bf16_body.h"
#include "backends/cpu/kernels/linear_widened_body.h"

namespace qeff::cpu {

void LinearBf16Avx512(const LinearArgs& args) {
  RunWidenedLinear<LinearBf16Format<F32Rows>, WidenedWeights>(args);
}

}  // namespace qeff::cpu
