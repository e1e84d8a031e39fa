// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/linear_bf16_mmla_body.h"

namespace qeff::cpu {

void LinearBf16DotNeonBf16(const LinearArgs& args) {
  RunStreamedLinear<LinearBf16MmlaFormat>(args);
}

}  // namespace qeff::cpu
