// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/linear_amx_body.h"
#include "backends/cpu/kernels/linear_bf16_body.h"

namespace qeff::cpu {

void LinearBf16Amx(const LinearArgs& args) {
  if (args.rows <= kPanelOrderRows) {  // reading the weights takes longer than multiplying them
    RunStreamedLinear<LinearBf16Format<F32Rows>>(args);
  } else {
    RunLinearAmx<SplitAmxRows>(args);
  }
}

}  // namespace qeff::cpu
