// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/linear_f32_body.h"

namespace qeff::cpu {

void LinearF32Neon(const LinearArgs& args) { RunStreamedLinear<LinearF32Format>(args); }

}  // namespace qeff::cpu
