// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/quant_ops_scalar.h"

namespace qeff::cpu {

void LinearMxfp6Scalar(const LinearArgs& args) { RunQuantLinear<QuantOps, Mxfp6Panel>(args); }

}  // namespace qeff::cpu
