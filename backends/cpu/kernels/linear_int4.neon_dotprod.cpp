// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/quant_ops_neon.h"

namespace qeff::cpu {

void LinearInt4NeonDotprod(const LinearArgs& args) {
  RunQuantLinearNeon<ProductOfQuads, Int4Panel>(args);
}

}  // namespace qeff::cpu
