// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/linear_bf16_dot_body.h"

namespace qeff::cpu {

void LinearBf16DotAvx512Bf16(const LinearArgs& args) {
  RunStreamedLinear<LinearBf16DotFormat<PairRows>>(args);
}

}  // namespace qeff::cpu
