// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/linear_int8_avx2_body.h"
#include "backends/cpu/kernels/quant_ops_avx2.h"

namespace qeff::cpu {

void LinearInt8Avx2(const LinearArgs& args) {
  if (args.rows > 1 && args.depth > 0) {
    RunInt8Wide(args);
  } else {
    RunQuantLinearAvx2<Int8Panel>(args);
  }
}

}  // namespace qeff::cpu
