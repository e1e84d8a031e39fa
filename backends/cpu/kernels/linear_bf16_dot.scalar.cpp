// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/linear_bf16_body.h"

namespace qeff::cpu {

void LinearBf16DotScalar(const LinearArgs& args) {
  RunStreamedLinear<LinearBf16Format<Bf16Rows>>(args);
}

}  // namespace qeff::cpu
