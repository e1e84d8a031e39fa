// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/delta_rule_body.h"

namespace qeff::cpu {

void DeltaRuleAvx2(const DeltaRuleArgs& args) { RunDeltaRule(args); }

}  // namespace qeff::cpu
