// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/pack_rows_quant_body.h"

namespace qeff::cpu {

void PackRowsQuantScalar(const PackRowsArgs& args) { RunPackRowsQuant(args); }

}  // namespace qeff::cpu
