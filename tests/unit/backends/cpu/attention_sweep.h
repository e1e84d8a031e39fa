// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Sweeps of the kernels for attention over a cache, for kernel_sweep_test.cpp.
#pragma once

#include "backends/cpu/kernels/kernels.h"

namespace qeff::cpu {

/// What a kernel may round: with kBf16 queries, keys, values and the scale are bf16, so that only
/// the rounding of the weights is left.
enum class AttentionRounding { kNone, kBf16 };

/// Fails the running test case where `kernel` differs from double loops, in any format of the
/// cache.
void SweepAttention(void (*kernel)(const AttentionArgs&), AttentionRounding rounding);
/// Fails it where `kernel` stores other bytes than tests/data/cpu/cache_rows.json has.
void SweepCacheRow(void (*kernel)(const CacheRowArgs&));

}  // namespace qeff::cpu
