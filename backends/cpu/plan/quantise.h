// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Weights to numbers with scales. One column and one group of k at a time:
//   int8   scale = bf16(max |w| / 127), number = w / scale rounded to nearest even, within +-127
//   int4   scale = bf16(m / -8) where m is the weight of largest magnitude, with its sign; number =
//          w / scale rounded to nearest even, within -8 .. 7, so that m itself is -8
//   mxfp6  scale = 2^e, e = floor(log2(max |w|)) - 2 within -127 .. 127; number = w / scale rounded
//          to the nearest E2M3, ties to even, magnitudes above 7.5 to 7.5 (OCP MX 1.0, section 6.3)
// A group of zeros has the scale 0 (mxfp6: 2^-127). A group with an infinity or NaN gets the scale
// NaN (mxfp6: the code 255 of NaN, which the kernels read as infinity).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "backends/cpu/kernels/kernels.h"

namespace qeff::cpu {

/// A group as it is stored: bf16 or E8M0 scale, and for each weight the stored number (kernels.h).
/// `weights` and `stored` have the same size. Requires a quantised format.
uint16_t QuantiseGroup(WeightFormat format, std::span<const float> weights,
                       std::span<uint8_t> stored);

/// Writes `rows` [32, depth] as one panel to `out`, PanelBytes(format, depth) zeros before.
/// Requires a quantised format.
void LayOutQuantPanel(const float* rows, int64_t depth, WeightFormat format, std::byte* out);

}  // namespace qeff::cpu
