// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/attention_amx_body.h"

namespace qeff::cpu {

void AttentionBf16Amx(const AttentionArgs& args) { RunAttentionAmx(args); }

}  // namespace qeff::cpu
