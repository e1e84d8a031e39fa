// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Quantised products in plain loops, four columns at a time.
#pragma once

#include "backends/cpu/kernels/linear_quant_body.h"

namespace qeff::cpu {
namespace {

struct QuantOps {
  static constexpr int kColumns = 4;
  static constexpr int kMaxTileRows = 4;
  struct Bytes {
    uint8_t at[16];
  };
  struct Ints {
    int32_t at[4];
  };
  using Floats = Vec;
  static_assert(sizeof(Floats) == 16, "the scalar kernels have vectors of four floats");

  static Bytes LoadBytes(const std::byte* from) {
    Bytes bytes;
    std::memcpy(&bytes, from, sizeof(bytes));
    return bytes;
  }
  static void StoreBytes(std::byte* to, const Bytes& bytes) {
    std::memcpy(to, &bytes, sizeof(bytes));
  }
  static Bytes BroadcastQuad(const std::byte* from) {
    Bytes bytes;
    for (int i = 0; i < 4; ++i) std::memcpy(bytes.at + 4 * i, from, 4);
    return bytes;
  }
  static Bytes LowNibbles(Bytes bytes) {
    for (uint8_t& byte : bytes.at) byte &= 0x0f;
    return bytes;
  }
  static Bytes HighNibbles(Bytes bytes) {
    for (uint8_t& byte : bytes.at) byte = static_cast<uint8_t>(byte >> 4);
    return bytes;
  }
  template <int kShift>
  static Bytes FromE2m3(Bytes low, const Bytes& upper) {
    for (int i = 0; i < 16; ++i) {
      const int code = low.at[i] | ((upper.at[i] >> kShift & 3) << 4);
      const int exponent = code >> 3 & 3;
      const int mantissa = code & 7;
      const int eighths = exponent == 0 ? mantissa : (8 + mantissa) << (exponent - 1);
      low.at[i] = static_cast<uint8_t>((code & 0x20) != 0 ? 64 - eighths : 64 + eighths);
    }
    return low;
  }

  template <int kZeroPoint>
  static Ints StartOfSum(const int32_t* start) {
    return {{*start, *start, *start, *start}};
  }
  template <int kZeroPoint>
  static void AddProducts(Ints& sum, const Bytes& w, const Bytes& x) {
    for (int i = 0; i < 16; ++i) sum.at[i / 4] += w.at[i] * static_cast<int8_t>(x.at[i]);
  }

  static Floats Zero() { return Vec{}; }
  static Floats BroadcastFloat(float value) { return Broadcast(value); }
  static Floats LoadFloats(const float* from) { return Load(from); }
  static void StoreFloats(float* to, Floats value) { Store(to, value); }
  static Floats ToFloats(const Ints& sum) {
    Floats result;
    for (int i = 0; i < 4; ++i) result[i] = static_cast<float>(sum.at[i]);
    return result;
  }
  static Floats MultiplyAdd(Floats a, Floats b, Floats c) { return a * b + c; }
  static Floats ScalesFromBf16(const std::byte* from) {
    uint16_t halves[4];
    std::memcpy(halves, from, sizeof(halves));
    VecU bits;
    for (int i = 0; i < 4; ++i) bits[i] = uint32_t{halves[i]} << 16;
    return BitsToFloat(bits);
  }
  /// Of numbers in eighths. The exponent 0 is 2^-127, a denormal.
  static Floats ScalesFromE8m0(const std::byte* from) {
    VecU bits;
    for (int i = 0; i < 4; ++i) {
      const auto exponent = static_cast<uint32_t>(from[i]);
      bits[i] = exponent == 0 ? 0x00400000u : exponent << 23;
    }
    return BitsToFloat(bits) * 0.125f;
  }
};

}  // namespace
}  // namespace qeff::cpu
