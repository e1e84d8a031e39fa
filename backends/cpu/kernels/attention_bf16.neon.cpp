// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/attention_f32_body.h"

namespace qeff::cpu {

void AttentionBf16Neon(const AttentionArgs& args) { RunAttention(args, kBf16AttentionRows); }

}  // namespace qeff::cpu
