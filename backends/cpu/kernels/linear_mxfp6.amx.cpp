// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/linear_quant_amx_body.h"

namespace qeff::cpu {

void LinearMxfp6Amx(const LinearArgs& args) {
  RunSmallGroupLinearAmx<QuantOpsVbmi, Mxfp6Panel>(args, WeightFormat::kMxfp6);
}

}  // namespace qeff::cpu
