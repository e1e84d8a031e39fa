// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Sweeps of the kernels for weights and rows that are not quantised, for kernel_sweep_test.cpp.
#pragma once

#include "backends/cpu/kernels/kernels.h"

namespace qeff::cpu {

/// Fails the running test case where `linear` differs from double loops, or a NaN or infinity in
/// one row reaches another. Weights f32, bf16 or f16; rows f32 or bf16, in the order of `kernels`.
void SweepLinear(void (*linear)(const LinearArgs&), WeightFormat format, RowFormat row_format,
                 const Kernels& kernels);
/// Fails it where `pack` gives other bytes for f32 or bf16 rows than the order of `kernels`.
void SweepPackRows(void (*pack)(const PackRowsArgs&), RowFormat format, const Kernels& kernels,
                   int64_t least_rows = 1);

}  // namespace qeff::cpu
