// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/pack_rows_amx_body.h"

namespace qeff::cpu {

void PackRowsBf16Amx(const PackRowsArgs& args) { RunPackRowsAmx(args); }

}  // namespace qeff::cpu
