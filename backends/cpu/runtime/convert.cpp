// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/runtime/convert.h"

#include <cmath>
#include <cstddef>
#include <cstring>
#include <limits>

#include "lib/support/float16.h"

namespace qeff::cpu {
namespace {

/// 16-bit floats as types of their own, so that overloads can tell them from integers.
struct F16 {
  uint16_t bits;
};
struct Bf16 {
  uint16_t bits;
};
struct Bool {
  uint8_t value;
};

double ToDouble(F16 value) { return F16ToF32(value.bits); }
double ToDouble(Bf16 value) { return Bf16ToF32(value.bits); }
double ToDouble(float value) { return value; }
double ToDouble(double value) { return value; }

int64_t Truncated(double value) {
  if (std::isnan(value)) return 0;
  if (value >= 9223372036854775807.0) return std::numeric_limits<int64_t>::max();
  if (value <= -9223372036854775808.0) return std::numeric_limits<int64_t>::min();
  return static_cast<int64_t>(value);
}

template <typename T>
constexpr bool kIsFloat = std::is_same_v<T, F16> || std::is_same_v<T, Bf16> ||
                          std::is_same_v<T, float> || std::is_same_v<T, double>;

template <typename To, typename From>
To Convert(From from) {
  if constexpr (kIsFloat<From>) {
    const double value = ToDouble(from);
    if constexpr (std::is_same_v<To, Bool>) return {static_cast<uint8_t>(value != 0)};
    if constexpr (std::is_same_v<To, F16>) return {F32ToF16(static_cast<float>(value))};
    if constexpr (std::is_same_v<To, Bf16>) return {F32ToBf16(static_cast<float>(value))};
    if constexpr (std::is_floating_point_v<To>) return static_cast<To>(value);
    if constexpr (std::is_integral_v<To>) return static_cast<To>(Truncated(value));
  } else if constexpr (std::is_same_v<From, Bool>) {
    return Convert<To>(static_cast<int64_t>(from.value != 0));
  } else {
    if constexpr (std::is_same_v<To, Bool>) return {static_cast<uint8_t>(from != 0)};
    if constexpr (std::is_same_v<To, F16>) return {F32ToF16(static_cast<float>(from))};
    if constexpr (std::is_same_v<To, Bf16>) return {F32ToBf16(static_cast<float>(from))};
    if constexpr (std::is_arithmetic_v<To>) return static_cast<To>(from);
  }
}

template <typename From, typename To>
void ConvertLoop(const std::byte* from, int64_t from_stride, std::byte* to, int64_t to_stride,
                 int64_t count) {
  const auto* source = reinterpret_cast<const From*>(from);
  auto* target = reinterpret_cast<To*>(to);
  for (int64_t i = 0; i < count; ++i) {
    target[i * to_stride] = Convert<To>(source[i * from_stride]);
  }
}

/// Calls `function` with a null pointer of the dtype's element type.
template <typename Function>
void WithType(DType dtype, const Function& function) {
  switch (dtype) {
    case DType::kF32:
      return function(static_cast<float*>(nullptr));
    case DType::kF64:
      return function(static_cast<double*>(nullptr));
    case DType::kF16:
      return function(static_cast<F16*>(nullptr));
    case DType::kBf16:
      return function(static_cast<Bf16*>(nullptr));
    case DType::kI8:
      return function(static_cast<int8_t*>(nullptr));
    case DType::kI16:
      return function(static_cast<int16_t*>(nullptr));
    case DType::kI32:
      return function(static_cast<int32_t*>(nullptr));
    case DType::kI64:
      return function(static_cast<int64_t*>(nullptr));
    case DType::kU8:
      return function(static_cast<uint8_t*>(nullptr));
    case DType::kU16:
      return function(static_cast<uint16_t*>(nullptr));
    case DType::kU32:
      return function(static_cast<uint32_t*>(nullptr));
    case DType::kU64:
      return function(static_cast<uint64_t*>(nullptr));
    case DType::kBool:
      return function(static_cast<Bool*>(nullptr));
    default:
      return;
  }
}

}  // namespace

bool IsConvertible(DType dtype) {
  bool is_known = false;
  WithType(dtype, [&](auto*) { is_known = true; });
  return is_known;
}

void ConvertRun(DType from_dtype, const std::byte* from, int64_t from_stride, DType to_dtype,
                std::byte* to, int64_t to_stride, int64_t count) {
  WithType(from_dtype, [&](auto* from_type) {
    WithType(to_dtype, [&](auto* to_type) {
      ConvertLoop<std::remove_pointer_t<decltype(from_type)>,
                  std::remove_pointer_t<decltype(to_type)>>(from, from_stride, to, to_stride,
                                                            count);
    });
  });
}

}  // namespace qeff::cpu
