// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Sweeps of the kernels for quantised weights, for kernel_sweep_test.cpp.
#pragma once

#include "backends/cpu/kernels/kernels.h"

namespace qeff::cpu {

/// Fails the running test case where `linear` differs from double loops over numbers and scales.
void SweepQuantLinear(void (*linear)(const LinearArgs&), WeightFormat format,
                      const Kernels& kernels);
/// Fails it where linear_bf16_dot differs from them with quantised weights, rounded to bf16.
void SweepQuantLinearOfBf16Rows(const Kernels& kernels);
/// Fails it where pack_rows_quant gives other bytes than the definition, computed one value at a
/// time; only for rows that it quantises.
void SweepQuantPack(const Kernels& kernels);

}  // namespace qeff::cpu
