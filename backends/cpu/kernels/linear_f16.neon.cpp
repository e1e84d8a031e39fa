// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/linear_f16_body.h"

namespace qeff::cpu {

void LinearF16Neon(const LinearArgs& args) { RunStreamedLinear<LinearF16Format>(args); }

}  // namespace qeff::cpu
