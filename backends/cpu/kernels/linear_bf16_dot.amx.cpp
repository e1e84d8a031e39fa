// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/linear_amx_stream_body.h"
#include "backends/cpu/kernels/linear_bf16_dot_body.h"

namespace qeff::cpu {

void LinearBf16DotAmx(const LinearArgs& args) {
  if (args.weight_format != WeightFormat::kBf16 ||
      !RunAsStreams<LinearBf16DotFormat<MatrixTileRows>>(args)) {
    RunBf16RowsAmx(args);
  }
}

}  // namespace qeff::cpu
