// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/linear_bf16_neon_body.h"

namespace qeff::cpu {

void LinearBf16Neon(const LinearArgs& args) {
  RunStreamedLinear<LinearBf16NeonFormat<F32RowsNeon>>(args);
}

}  // namespace qeff::cpu
