// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/quant_ops_avx512_vnni.h"

namespace qeff::cpu {

void LinearInt8Avx512Vnni(const LinearArgs& args) { RunQuantLinear<QuantOps, Int8Panel>(args); }

}  // namespace qeff::cpu
