// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/pack_rows_neon_body.h"

namespace qeff::cpu {

void PackRowsBf16NeonBf16(const PackRowsArgs& args) {
  SelectPackTile<PackBf16Neon>(args, std::make_index_sequence<12>());
}

}  // namespace qeff::cpu
