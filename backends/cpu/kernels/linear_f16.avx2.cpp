// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/linear_f16_body.h"
#include "backends/cpu/kernels/linear_widened_body.h"

namespace qeff::cpu {

void LinearF16Avx2(const LinearArgs& args) {
  RunWidenedLinear<LinearF16Format, WidenedWeights>(args);
}

}  // namespace qeff::cpu
