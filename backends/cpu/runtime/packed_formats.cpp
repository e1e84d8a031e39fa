// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/runtime/packed_formats.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "lib/support/float16.h"

namespace qeff::cpu {
namespace {

/// The weights whose rows are quantised as `format`; kF32 for rows that are not.
WeightFormat WeightsOf(RowFormat format) {
  switch (format) {
    case RowFormat::kInt8:
      return WeightFormat::kInt8;
    case RowFormat::kInt4:
      return WeightFormat::kInt4;
    case RowFormat::kMxfp6:
      return WeightFormat::kMxfp6;
    case RowFormat::kF32:
    case RowFormat::kBf16:
      break;
  }
  return WeightFormat::kF32;
}

/// Weight k of a column, without its scale.
float StoredNumber(WeightFormat format, const uint8_t* numbers, int64_t k, int64_t column) {
  const int64_t lane = column % 16 * 4 + k % 4;
  const int64_t half = column / 16;
  if (format == WeightFormat::kInt8) {
    return static_cast<float>(numbers[k / 4 * 128 + half * 64 + lane] - kInt8Layout.zero_point);
  }
  if (format == WeightFormat::kInt4) {
    const int nibble = numbers[k / 4 * 64 + lane] >> (4 * half) & 0x0f;
    return static_cast<float>(nibble - kInt4Layout.zero_point);
  }
  const uint8_t* pair = numbers + k / 8 * 192;
  const int64_t quad = k / 4 % 2;
  const int low = pair[quad * 64 + lane] >> (4 * half) & 0x0f;
  const int upper = pair[128 + lane] >> (2 * (2 * quad + half)) & 3;
  const int code = low | upper << 4;
  const int exponent = code >> 3 & 3;
  const int eighths = exponent == 0 ? code & 7 : (8 + (code & 7)) << (exponent - 1);
  return static_cast<float>((code & 0x20) != 0 ? -eighths : eighths) / 8;
}

float StoredScale(const QuantLayout& layout, const std::byte* panel, int64_t group,
                  int64_t column) {
  const std::byte* from = panel + (group * kPanelColumns + column) * layout.scale_bytes;
  if (layout.scale_bytes == 1) return std::ldexp(1.0f, static_cast<int>(*from) - 127);
  uint16_t bits;
  std::memcpy(&bits, from, sizeof(bits));
  return Bf16ToF32(bits);
}

}  // namespace

std::string_view WeightFormatName(WeightFormat format) {
  switch (format) {
    case WeightFormat::kF32:
      return "f32";
    case WeightFormat::kBf16:
      return "bf16";
    case WeightFormat::kF16:
      return "f16";
    case WeightFormat::kInt8:
      return "int8";
    case WeightFormat::kInt4:
      return "int4";
    case WeightFormat::kMxfp6:
      return "mxfp6";
  }
  return "?";
}

const QuantLayout* QuantLayoutOf(WeightFormat format) {
  switch (format) {
    case WeightFormat::kInt8:
      return &kInt8Layout;
    case WeightFormat::kInt4:
      return &kInt4Layout;
    case WeightFormat::kMxfp6:
      return &kMxfp6Layout;
    case WeightFormat::kF32:
    case WeightFormat::kBf16:
    case WeightFormat::kF16:
      break;
  }
  return nullptr;
}

int64_t PanelBytes(WeightFormat format, int64_t depth) {
  if (const QuantLayout* layout = QuantLayoutOf(format)) return layout->panel_bytes(depth);
  if (format == WeightFormat::kBf16) return kPanelColumns * RoundUpToEven(depth) * 2;
  return kPanelColumns * depth * (format == WeightFormat::kF16 ? 2 : 4);
}

int64_t PackedRowBytes(RowFormat format, int64_t depth) {
  if (format == RowFormat::kF32) return depth * 4;
  const int64_t bf16_bytes = Bf16RowDepth(depth) * 2;
  const QuantLayout* layout = QuantLayoutOf(WeightsOf(format));
  return layout == nullptr ? bf16_bytes : std::max(bf16_bytes, layout->row_bytes(depth));
}

bool HasBf16Rows(const Kernels& kernels, RowFormat format, int64_t rows) {
  const QuantLayout* layout = QuantLayoutOf(WeightsOf(format));
  if (layout == nullptr) return format == RowFormat::kBf16;
  return &kernels == &KernelsFor(Isa::amx) && HasBf16QuantRows(*layout, rows);
}

bool IsProduct(RowFormat rows, WeightFormat weights) {
  const auto row_number = static_cast<int32_t>(rows);
  const auto weight_number = static_cast<int32_t>(weights);
  if (row_number < 0 || row_number >= kRowFormatCount || weight_number < 0 ||
      weight_number >= kWeightFormatCount) {
    return false;
  }
  if (rows == RowFormat::kF32) return !IsQuantised(weights);
  if (rows == RowFormat::kBf16) return weights == WeightFormat::kBf16 || IsQuantised(weights);
  return weights == WeightsOf(rows);
}

void RunLinear(const Kernels& kernels, RowFormat rows, WeightFormat weights, LinearArgs args) {
  args.weight_format = weights;
  if (rows == RowFormat::kBf16) return kernels.linear_bf16_dot(args);
  switch (weights) {
    case WeightFormat::kF32:
      return kernels.linear_f32(args);
    case WeightFormat::kF16:
      return kernels.linear_f16(args);
    case WeightFormat::kBf16:
      return kernels.linear_bf16(args);
    case WeightFormat::kInt8:
      return kernels.linear_int8(args);
    case WeightFormat::kInt4:
      return kernels.linear_int4(args);
    case WeightFormat::kMxfp6:
      return kernels.linear_mxfp6(args);
  }
}

void PackTile(const Kernels& kernels, RowFormat format, PackRowsArgs args) {
  if (const QuantLayout* layout = QuantLayoutOf(WeightsOf(format))) {
    args.layout = *layout;
    kernels.pack_rows_quant(args);
  } else {
    format == RowFormat::kBf16 ? kernels.pack_rows_bf16(args) : kernels.pack_rows_f32(args);
  }
}

void UnpackColumn(WeightFormat format, const std::byte* panel, int64_t depth, int64_t column,
                  float* out) {
  if (const QuantLayout* layout = QuantLayoutOf(format)) {
    const auto* numbers = reinterpret_cast<const uint8_t*>(panel + layout->scales_bytes(depth));
    for (int64_t k = 0; k < depth; ++k) {
      out[k] = StoredNumber(format, numbers, k, column) *
               StoredScale(*layout, panel, k / layout->group, column);
    }
  } else if (format == WeightFormat::kBf16) {
    const auto* from = reinterpret_cast<const uint16_t*>(panel) + 2 * column;
    for (int64_t k = 0; k < depth; ++k) {
      out[k] = Bf16ToF32(from[k / 2 * 2 * kPanelColumns + k % 2]);
    }
  } else if (format == WeightFormat::kF16) {
    const auto* from = reinterpret_cast<const uint16_t*>(panel) + column;
    for (int64_t k = 0; k < depth; ++k) out[k] = F16ToF32(from[k * kPanelColumns]);
  } else {
    const auto* from = reinterpret_cast<const float*>(panel) + column;
    for (int64_t k = 0; k < depth; ++k) out[k] = from[k * kPanelColumns];
  }
}

}  // namespace qeff::cpu
