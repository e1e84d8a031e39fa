// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Conversion of elements between dtypes, for inputs and outputs and for Cast.
#pragma once

#include <cstdint>

#include "lib/support/dtype.h"

namespace qeff::cpu {

/// True for the dtypes that ConvertRun knows: floats of 16 to 64 bits, integers of 8 to 64 bits,
/// bool.
bool IsConvertible(DType dtype);

/// to[i * to_stride] = from[i * from_stride] for i < count, strides in elements. Floats to integers
/// truncate and saturate (NaN gives 0), integers to smaller ones keep the low bits, floats round to
/// nearest even, anything to bool is "not zero".
void ConvertRun(DType from_dtype, const std::byte* from, int64_t from_stride, DType to_dtype,
                std::byte* to, int64_t to_stride, int64_t count);

}  // namespace qeff::cpu
