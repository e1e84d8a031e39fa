// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The formats of packed weights and rows (kernels/kernels.h) by their values in programs: sizes,
// which belong together, which kernel works on them.
#pragma once

#include <cstddef>
#include <string_view>

#include "backends/cpu/kernels/kernels.h"

namespace qeff::cpu {

/// "f32", "bf16", ... as qeff-compile spells them.
std::string_view WeightFormatName(WeightFormat format);
/// Null if numbers of `format` have no scales.
const QuantLayout* QuantLayoutOf(WeightFormat format);
inline bool IsQuantised(WeightFormat format) { return QuantLayoutOf(format) != nullptr; }

/// Bytes of 32 columns of `depth` weights.
int64_t PanelBytes(WeightFormat format, int64_t depth);
/// Bytes that a packed row takes at most, whatever the instruction set, a multiple of 4.
int64_t PackedRowBytes(RowFormat format, int64_t depth);
/// True if so many rows for `format` are bf16 rows with these kernels, which a product can write.
bool HasBf16Rows(const Kernels& kernels, RowFormat format, int64_t rows);
/// True if both are values of their enumerations and there is a kernel for such rows and weights.
bool IsProduct(RowFormat rows, WeightFormat weights);

/// Runs the kernel for `rows` and `weights`, of which IsProduct is true;
/// `args.weight_format` is filled in.
void RunLinear(const Kernels& kernels, RowFormat rows, WeightFormat weights, LinearArgs args);
/// Packs one tile; `args.layout` is filled in.
void PackTile(const Kernels& kernels, RowFormat format, PackRowsArgs args);
/// Writes column `column` of a panel as `depth` floats.
void UnpackColumn(WeightFormat format, const std::byte* panel, int64_t depth, int64_t column,
                  float* out);

}  // namespace qeff::cpu
