// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/ops/tensor.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "lib/support/float16.h"

namespace qeff::ops {
namespace {

Status NoMeaning(DType dtype) {
  return Unsupported(Location{},
                     fmt::format("element type '{}' has no reference meaning", DTypeName(dtype)));
}

template <typename T>
T Load(std::span<const std::byte> bytes, size_t index) {
  T value;
  std::memcpy(&value, bytes.data() + index * sizeof(T), sizeof(T));
  return value;
}

template <typename T>
void Store(std::span<std::byte> bytes, size_t index, T value) {
  std::memcpy(bytes.data() + index * sizeof(T), &value, sizeof(T));
}

double DecodeFloat(DType dtype, std::span<const std::byte> bytes, size_t index) {
  switch (dtype) {
    case DType::kF64:
      return Load<double>(bytes, index);
    case DType::kF16:
      return F16ToF32(Load<uint16_t>(bytes, index));
    case DType::kBf16:
      return Bf16ToF32(Load<uint16_t>(bytes, index));
    default:
      return Load<float>(bytes, index);
  }
}

void EncodeFloat(DType dtype, double value, std::span<std::byte> bytes, size_t index) {
  const auto rounded = static_cast<float>(RoundToFloat(value, dtype));
  switch (dtype) {
    case DType::kF64:
      return Store(bytes, index, value);
    case DType::kF16:
      return Store(bytes, index, F32ToF16(rounded));
    case DType::kBf16:
      return Store(bytes, index, F32ToBf16(rounded));
    default:
      return Store(bytes, index, rounded);
  }
}

int64_t DecodeInt(DType dtype, std::span<const std::byte> bytes, size_t index) {
  switch (DTypeBits(dtype)) {
    case 4:
      return WrapToInt(static_cast<int64_t>(bytes[index / 2]) >> (index % 2 * 4), dtype);
    case 8:
      return WrapToInt(Load<uint8_t>(bytes, index), dtype);
    case 16:
      return WrapToInt(Load<uint16_t>(bytes, index), dtype);
    case 32:
      return WrapToInt(Load<uint32_t>(bytes, index), dtype);
    default:
      return Load<int64_t>(bytes, index);
  }
}

void EncodeInt(DType dtype, int64_t value, std::span<std::byte> bytes, size_t index) {
  switch (DTypeBits(dtype)) {
    case 4: {
      std::byte& pair = bytes[index / 2];
      const auto nibble = static_cast<std::byte>(value & 0xf);
      pair = index % 2 == 0 ? nibble : (pair | (nibble << 4));
      return;
    }
    case 8:
      return Store(bytes, index, static_cast<uint8_t>(value));
    case 16:
      return Store(bytes, index, static_cast<uint16_t>(value));
    case 32:
      return Store(bytes, index, static_cast<uint32_t>(value));
    default:
      return Store(bytes, index, value);
  }
}

bool HasMeaning(DType dtype) {
  return dtype <= DType::kBool || dtype == DType::kI4 || dtype == DType::kU4;
}

bool IsUnsigned(DType dtype) {
  return dtype == DType::kU4 || dtype == DType::kU8 || dtype == DType::kU16 ||
         dtype == DType::kU32 || dtype == DType::kU64;
}

}  // namespace

std::string Tensor::TypeText() const {
  return ir::TensorType{dtype, ir::Shape(dims.begin(), dims.end())}.ToString();
}

int64_t CheckedElementCount(std::span<const int64_t> dims) {
  int64_t count = 1;
  bool is_empty = false;
  for (const int64_t dim : dims) {
    if (dim < 0) return -1;
    if (dim == 0) {
      is_empty = true;
    } else if (__builtin_mul_overflow(count, dim, &count) || count > kMostElements) {
      return -1;
    }
  }
  return is_empty ? 0 : count;
}

Tensor ZeroTensor(DType dtype, std::vector<int64_t> dims) {
  const int64_t count = CheckedElementCount(dims);
  QEFF_CHECK(count >= 0, "unchecked dimensions of a tensor");
  Tensor tensor{.dtype = dtype, .dims = std::move(dims), .floats = {}, .ints = {}};
  if (tensor.is_float()) {
    tensor.floats.resize(static_cast<size_t>(count));
  } else {
    tensor.ints.resize(static_cast<size_t>(count));
  }
  return tensor;
}

Tensor IntTensor(std::vector<int64_t> dims, std::vector<int64_t> values) {
  return {.dtype = DType::kI64, .dims = std::move(dims), .floats = {}, .ints = std::move(values)};
}

double RoundToFloat(double value, DType dtype) {
  struct Format {
    int digits;            // of the significand, the hidden one included
    int lowest_exponent;   // of the smallest normal number 2^lowest
    int highest_exponent;  // numbers are below 2^(highest + 1)
  };
  Format format{};
  switch (dtype) {
    case DType::kF32:
      return static_cast<float>(value);
    case DType::kF16:
      format = {11, -14, 15};
      break;
    case DType::kBf16:
      format = {8, -126, 127};
      break;
    default:
      return value;
  }
  if (value == 0 || !std::isfinite(value)) return value;
  const int exponent = std::max(std::ilogb(value), format.lowest_exponent);
  const double quantum = std::ldexp(1.0, exponent - (format.digits - 1));
  const double rounded = std::nearbyint(value / quantum) * quantum;
  const double limit = std::ldexp(1.0, format.highest_exponent + 1);
  return std::fabs(rounded) >= limit ? std::copysign(std::numeric_limits<double>::infinity(), value)
                                     : rounded;
}

int64_t WrapToInt(int64_t value, DType dtype) {
  if (dtype == DType::kBool) return value != 0 ? 1 : 0;
  const int bits = DTypeBits(dtype);
  if (bits == 64) return value;
  const int unused = 64 - bits;
  const uint64_t shifted = static_cast<uint64_t>(value) << unused;
  if (IsUnsigned(dtype)) return static_cast<int64_t>(shifted >> unused);
  return static_cast<int64_t>(shifted) >> unused;
}

int64_t FloatToInt(double value, DType dtype) {
  if (dtype == DType::kBool) return value != 0 ? 1 : 0;
  if (std::isnan(value)) return 0;
  const int bits = std::min(DTypeBits(dtype), 63);
  const bool is_unsigned = IsUnsigned(dtype);
  const int value_bits = is_unsigned ? bits : DTypeBits(dtype) - 1;
  const int64_t highest =
      value_bits >= 63 ? std::numeric_limits<int64_t>::max() : (int64_t{1} << value_bits) - 1;
  const int64_t lowest = is_unsigned ? 0 : -highest - 1;
  if (value <= static_cast<double>(lowest)) return lowest;
  if (value >= static_cast<double>(highest)) return highest;
  return static_cast<int64_t>(value);
}

Result<Tensor> TensorFromBytes(DType dtype, std::vector<int64_t> dims,
                               std::span<const std::byte> bytes) {
  if (!HasMeaning(dtype)) return NoMeaning(dtype);
  const int64_t count = CheckedElementCount(dims);
  if (count < 0) {
    return Unsupported(Location{},
                       "a value with more than 2^30 elements is too large for the "
                       "reference meaning");
  }
  if (static_cast<int64_t>(bytes.size()) != DTypeBytes(dtype, count)) {
    return InvalidInput(Location{}, fmt::format("expected {} bytes, got {}",
                                                DTypeBytes(dtype, count), bytes.size()));
  }
  Tensor tensor = ZeroTensor(dtype, std::move(dims));
  for (size_t i = 0; i < tensor.floats.size(); ++i) tensor.floats[i] = DecodeFloat(dtype, bytes, i);
  for (size_t i = 0; i < tensor.ints.size(); ++i) tensor.ints[i] = DecodeInt(dtype, bytes, i);
  return tensor;
}

Status TensorToBytes(const Tensor& tensor, std::span<std::byte> out) {
  if (!HasMeaning(tensor.dtype)) return NoMeaning(tensor.dtype);
  const int64_t expected = DTypeBytes(tensor.dtype, tensor.element_count());
  if (static_cast<int64_t>(out.size()) != expected) {
    return InvalidInput(Location{}, fmt::format("expected {} bytes, got {}", expected, out.size()));
  }
  for (size_t i = 0; i < tensor.floats.size(); ++i) {
    EncodeFloat(tensor.dtype, tensor.floats[i], out, i);
  }
  for (size_t i = 0; i < tensor.ints.size(); ++i) EncodeInt(tensor.dtype, tensor.ints[i], out, i);
  return Status::Ok();
}

Result<Tensor> TensorFromWeight(const ir::Weight& weight) {
  if (!HasMeaning(weight.dtype())) return NoMeaning(weight.dtype());
  if (CheckedElementCount(weight.dims()) < 0) {
    return Unsupported(Location{},
                       "a weight with more than 2^30 elements is too large for the "
                       "reference meaning");
  }
  QEFF_ASSIGN_OR_RETURN(const std::vector<std::byte> bytes, ir::ReadWholeWeight(weight));
  return TensorFromBytes(weight.dtype(), weight.dims(), bytes);
}

}  // namespace qeff::ops
