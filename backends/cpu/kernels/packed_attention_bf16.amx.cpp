// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/packed_attention_amx_body.h"

namespace qeff::cpu {

void PackedAttentionBf16Amx(const PackedAttentionArgs& args) { RunPackedAttentionAmx(args); }

}  // namespace qeff::cpu
