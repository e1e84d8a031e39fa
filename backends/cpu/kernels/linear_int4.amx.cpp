// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/linear_quant_amx_body.h"

namespace qeff::cpu {

void LinearInt4Amx(const LinearArgs& args) {
  RunSmallGroupLinearAmx<QuantOps, Int4Panel>(args, WeightFormat::kInt4);
}

}  // namespace qeff::cpu
