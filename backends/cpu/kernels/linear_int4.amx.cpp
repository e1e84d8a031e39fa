// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/linear_amx_stream_body.h"

namespace qeff::cpu {

void LinearInt4Amx(const LinearArgs& args) {
  if (HasBf16QuantRows(kInt4Layout, args.rows)) {
    RunBf16RowsAmx(args, WeightFormat::kInt4);
  } else {
    RunQuantLinear<QuantOps, Int4Panel>(args);
  }
}

}  // namespace qeff::cpu
