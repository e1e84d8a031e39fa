// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/linear_f32_amx_body.h"

namespace qeff::cpu {

void LinearF32Amx(const LinearArgs& args) { RunF32RowsAmx<LinearF32Format, float>(args); }

}  // namespace qeff::cpu
