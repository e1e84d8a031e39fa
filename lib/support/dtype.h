// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Element types of tensors, everywhere: checkpoints, graphs, artifacts, sessions and kernels. Names
// and numbers of the file formats (safetensors, ONNX) are mapped by the code that reads those
// formats.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace qeff {

/// Stored in artifacts as this number: only ever append.
enum class DType : uint8_t {
  kF32,
  kF64,
  kF16,
  kBf16,
  kI8,
  kI16,
  kI32,
  kI64,
  kU8,
  kU16,
  kU32,
  kU64,
  kBool,
  kF8E4M3,
  kF8E5M2,
  kF8E8M0,  ///< 8-bit floats; E8M0 is a power-of-two scale
  kF4E2M1,
  kF6E2M3,
  kF6E3M2,  ///< sub-byte floats, packed
  kI4,
  kU4,  ///< two per byte, low nibble first
  kComplex64,
};
inline constexpr int kDTypeCount = static_cast<int>(DType::kComplex64) + 1;

/// Bits of one element.
constexpr int DTypeBits(DType dtype) {
  switch (dtype) {
    case DType::kF64:
    case DType::kI64:
    case DType::kU64:
    case DType::kComplex64:
      return 64;
    case DType::kF32:
    case DType::kI32:
    case DType::kU32:
      return 32;
    case DType::kF16:
    case DType::kBf16:
    case DType::kI16:
    case DType::kU16:
      return 16;
    case DType::kF4E2M1:
    case DType::kI4:
    case DType::kU4:
      return 4;
    case DType::kF6E2M3:
    case DType::kF6E3M2:
      return 6;
    default:
      return 8;
  }
}

/// Bytes of `count` elements, sub-byte types packed without gaps. Requires a count whose bits fit
/// int64.
constexpr int64_t DTypeBytes(DType dtype, int64_t count) {
  return (count * DTypeBits(dtype) + 7) / 8;
}

constexpr bool IsFloat(DType dtype) {
  return dtype <= DType::kBf16 || (dtype >= DType::kF8E4M3 && dtype <= DType::kF6E3M2);
}

/// Our own lower-case name: "f32", "bf16", "i64", "bool", "f8_e4m3", ...
constexpr std::string_view DTypeName(DType dtype) {
  constexpr std::string_view kNames[kDTypeCount] = {
      "f32",     "f64",     "f16",     "bf16", "i8",   "i16",     "i32",     "i64",
      "u8",      "u16",     "u32",     "u64",  "bool", "f8_e4m3", "f8_e5m2", "f8_e8m0",
      "f4_e2m1", "f6_e2m3", "f6_e3m2", "i4",   "u4",   "c64"};
  return kNames[static_cast<int>(dtype)];
}

/// Inverse of DTypeName.
constexpr std::optional<DType> DTypeFromName(std::string_view name) {
  for (int i = 0; i < kDTypeCount; ++i) {
    if (DTypeName(static_cast<DType>(i)) == name) return static_cast<DType>(i);
  }
  return std::nullopt;
}

}  // namespace qeff
