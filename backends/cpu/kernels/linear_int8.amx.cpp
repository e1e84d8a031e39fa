// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/linear_quant_amx_body.h"

namespace qeff::cpu {

void LinearInt8Amx(const LinearArgs& args) {
  if (args.rows <= kTileRows) {
    RunQuantLinear<QuantOps, Int8Panel>(args);
  } else {
    RunQuantLinearTiles<QuantOps, Int8Panel>(args);
  }
}

}  // namespace qeff::cpu
