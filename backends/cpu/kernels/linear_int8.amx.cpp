// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/linear_int8_amx_body.h"

namespace qeff::cpu {

void LinearInt8Amx(const LinearArgs& args) {
  if (HasBf16QuantRows(kInt8Layout, args.rows)) {
    RunBf16RowsAmx(args, WeightFormat::kInt8);
  } else if (args.rows > 1) {
    RunInt8Tiles(args);
  } else {
    RunQuantLinear<QuantOps, Int8Panel>(args);
  }
}

}  // namespace qeff::cpu
