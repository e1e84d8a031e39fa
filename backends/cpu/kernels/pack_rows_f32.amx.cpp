// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Kernels for matrix tiles cut rows into bf16 parts themselves, and want a row's k together.
#include <cstring>

#include "backends/cpu/kernels/pack_rows_body.h"

namespace qeff::cpu {

void PackRowsF32Amx(const PackRowsArgs& args) {
  if (args.total_rows <= kPanelOrderRows) return RunPackRowsF32(args);
  auto* out = static_cast<float*>(args.out) + args.row_begin * args.depth;
  for (int64_t i = 0; i < args.rows; ++i) {
    std::memcpy(out + i * args.depth, args.x + i * args.x_stride,
                static_cast<size_t>(args.depth) * sizeof(float));
  }
}

}  // namespace qeff::cpu
