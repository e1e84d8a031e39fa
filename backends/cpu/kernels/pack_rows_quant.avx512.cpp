// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/pack_rows_quant_body.h"

namespace qeff::cpu {

void PackRowsQuantAvx512(const PackRowsArgs& args) { RunPackRowsQuant(args); }

}  // namespace qeff::cpu
