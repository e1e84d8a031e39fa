// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/quant_ops_neon.h"

namespace qeff::cpu {

void LinearMxfp6Neon(const LinearArgs& args) {
  RunQuantLinearNeon<ProductOfPairs, Mxfp6Panel>(args);
}

}  // namespace qeff::cpu
