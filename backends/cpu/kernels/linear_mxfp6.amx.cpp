// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/linear_amx_stream_body.h"

namespace qeff::cpu {

void LinearMxfp6Amx(const LinearArgs& args) {
  if (HasBf16QuantRows(kMxfp6Layout, args.rows)) {
    RunBf16RowsAmx(args, WeightFormat::kMxfp6);
  } else {
    RunQuantLinear<QuantOpsVbmi, Mxfp6Panel>(args);
  }
}

}  // namespace qeff::cpu
