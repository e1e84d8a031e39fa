// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/ops/tensor.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "lib/support/float16.h"

namespace qeff::ops {

TEST_CASE("rounding agrees with the hardware for every half and bfloat16") {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto pattern = static_cast<uint16_t>(bits);
    for (const bool is_half : {true, false}) {
      const DType dtype = is_half ? DType::kF16 : DType::kBf16;
      const float value = is_half ? F16ToF32(pattern) : Bf16ToF32(pattern);
      if (std::isnan(value)) continue;
      CHECK(RoundToFloat(value, dtype) == value);
      // Halfway to the next value towards infinity: the one with an even last bit.
      const auto next_pattern = static_cast<uint16_t>(pattern + 1);
      const double next = is_half ? F16ToF32(next_pattern) : Bf16ToF32(next_pattern);
      if (!std::isfinite(value) || !std::isfinite(next) || (pattern & 0x7fff) == 0x7fff) continue;
      const double middle = (static_cast<double>(value) + next) / 2;
      CHECK(RoundToFloat(middle, dtype) == (pattern % 2 == 0 ? value : next));
    }
  }
}

TEST_CASE("rounding knows one rounding from two") {
  // Just above halfway between two halves; halfway exactly once rounded to f32.
  const double value = 1 + std::ldexp(1.0, -11) + std::ldexp(1.0, -40);
  CHECK(RoundToFloat(value, DType::kF16) == 1 + std::ldexp(1.0, -10));
  CHECK(RoundToFloat(65520, DType::kF16) == std::numeric_limits<double>::infinity());
  CHECK(RoundToFloat(-65519.99, DType::kF16) == -65504);
  CHECK(std::signbit(RoundToFloat(-1e-30, DType::kF16)));
}

TEST_CASE("integers wrap, floats are clamped to integers") {
  CHECK(WrapToInt(300, DType::kU8) == 44);
  CHECK(WrapToInt(200, DType::kI8) == -56);
  CHECK(WrapToInt(-1, DType::kU32) == 4294967295);
  CHECK(WrapToInt(9, DType::kI4) == -7);
  CHECK(WrapToInt(5, DType::kBool) == 1);
  CHECK(FloatToInt(-1.9, DType::kI32) == -1);
  CHECK(FloatToInt(1e30, DType::kI32) == std::numeric_limits<int32_t>::max());
  CHECK(FloatToInt(-1e30, DType::kI64) == std::numeric_limits<int64_t>::min());
  CHECK(FloatToInt(1e30, DType::kI64) == std::numeric_limits<int64_t>::max());
  CHECK(FloatToInt(-3, DType::kU8) == 0);
  CHECK(FloatToInt(std::nan(""), DType::kI64) == 0);
}

TEST_CASE("tensors keep their elements through bytes") {
  for (const DType dtype :
       {DType::kF32, DType::kF64, DType::kF16, DType::kBf16, DType::kI8, DType::kI16, DType::kI32,
        DType::kI64, DType::kU8, DType::kU16, DType::kU32, DType::kBool, DType::kI4, DType::kU4}) {
    Tensor tensor = ZeroTensor(dtype, {3});
    for (size_t i = 0; i < 3; ++i) {
      if (tensor.is_float()) {
        tensor.floats[i] = 0.5 * static_cast<double>(i);
      } else {
        tensor.ints[i] = WrapToInt(static_cast<int64_t>(i), dtype);
      }
    }
    std::vector<std::byte> bytes(static_cast<size_t>(DTypeBytes(dtype, 3)));
    REQUIRE(TensorToBytes(tensor, bytes).ok());
    const Result<Tensor> read = TensorFromBytes(dtype, {3}, bytes);
    REQUIRE(read.ok());
    CHECK(read->floats == tensor.floats);
    CHECK(read->ints == tensor.ints);
  }
}

TEST_CASE("bad tensors are refused") {
  CHECK(CheckedElementCount(std::vector<int64_t>{1 << 20, 1 << 20}) == -1);
  CHECK(CheckedElementCount(std::vector<int64_t>{3, -1}) == -1);
  CHECK(CheckedElementCount(std::vector<int64_t>{0, int64_t{1} << 40}) == -1);
  CHECK(CheckedElementCount(std::vector<int64_t>{3, 0}) == 0);
  const std::vector<std::byte> bytes(7);
  CHECK(TensorFromBytes(DType::kF32, {2}, bytes).diagnostic().message == "expected 8 bytes, got 7");
  CHECK(TensorFromBytes(DType::kF8E4M3, {7}, bytes).diagnostic().message ==
        "element type 'f8_e4m3' has no reference meaning");
  CHECK(TensorFromBytes(DType::kI8, {int64_t{1} << 40}, bytes).diagnostic().code ==
        ErrorCode::kUnsupported);
}

}  // namespace qeff::ops
