// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/attention_f32_body.h"

namespace qeff::cpu {

void AttentionF32Neon(const AttentionArgs& args) { RunAttention(args, kF32AttentionRows); }

}  // namespace qeff::cpu
