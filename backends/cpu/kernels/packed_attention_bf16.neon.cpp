// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/packed_attention_body.h"

namespace qeff::cpu {

void PackedAttentionBf16Neon(const PackedAttentionArgs& args) { RunPackedAttention(args); }

}  // namespace qeff::cpu
