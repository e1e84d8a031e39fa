// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/linear_amx_body.h"
#include "backends/cpu/kernels/linear_bf16_dot_body.h"

namespace qeff::cpu {

void LinearBf16DotAmx(const LinearArgs& args) {
  constexpr auto kRows = std::make_integer_sequence<int, kStreamRows>();
  if (!SelectStreams<LinearBf16DotFormat<MatrixTileRows>>(args, kRows)) {
    RunLinearAmx<PackedAmxRows>(args);
  }
}

}  // namespace qeff::cpu
