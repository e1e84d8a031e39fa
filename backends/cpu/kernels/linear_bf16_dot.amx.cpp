// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/linear_amx_body.h"

namespace qeff::cpu {

void LinearBf16DotAmx(const LinearArgs& args) { RunLinearAmx<PackedAmxRows>(args); }

}  // namespace qeff::cpu
