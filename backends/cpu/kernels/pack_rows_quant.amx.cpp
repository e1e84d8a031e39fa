// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/pack_rows_amx_body.h"
#include "backends/cpu/kernels/pack_rows_quant_body.h"

namespace qeff::cpu {

void PackRowsQuantAmx(const PackRowsArgs& args) {
  if (HasBf16QuantRows(args.layout, args.total_rows)) {
    RunPackRowsAmx(args);
  } else {
    RunPackRowsQuant(args);
  }
}

}  // namespace qeff::cpu
