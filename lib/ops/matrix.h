// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The matrix product that several ops are made of. Included by the files of ops.
#pragma once

#include <span>
#include <vector>

namespace qeff::ops {

/// Returns y[r, n] = sum over k of x[r, k] * weight[n, k], plus bias[n] if `bias` is not empty. x
/// [rows, K], weight [N, K], both row-major.
std::vector<double> MultiplyByRows(std::span<const double> x, std::span<const double> weight,
                                   std::span<const double> bias, size_t rows, size_t columns,
                                   size_t depth);

}  // namespace qeff::ops
