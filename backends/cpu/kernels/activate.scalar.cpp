// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/rows_body.h"

namespace qeff::cpu {

void ActivateScalar(const ActivateArgs& args) { RunActivate(args); }

}  // namespace qeff::cpu
