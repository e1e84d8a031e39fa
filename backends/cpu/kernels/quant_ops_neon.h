// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Quantised products on NEON. A vector holds the quads of four columns; kVectors of them are worked
// on together. Product says how quads are multiplied: ProductOfPairs on every machine; with the
// dotprod or i8mm extension one instruction takes the four products of each 32-bit lane. A single
// row reads its panel once, in order; more rows take four columns of each half at a time, so that
// their sums stay in registers.
#pragma once

#include <arm_neon.h>

#include "backends/cpu/kernels/linear_quant_body.h"

namespace qeff::cpu {
namespace {

/// Stored int8 less its zero point; the other formats are below 128 and stay as they are.
template <int kZeroPoint>
QEFF_INLINE int8x16_t SignedWeights(uint8x16_t w) {
  return vreinterpretq_s8_u8(kZeroPoint == 128 ? veorq_u8(w, vdupq_n_u8(128)) : w);
}

/// smull and addp give sums of two products in 16 bits: at most 2 * 127 * 127 = 32258.
struct ProductOfPairs {
  static constexpr bool kIsUnsigned = false;  // int8 weights lose their zero point
  static constexpr int kMaxTileRows = 4;
  template <int kZeroPoint>
  QEFF_INLINE static int32x4_t Add(int32x4_t sum, uint8x16_t w, int8x16_t x) {
    const int8x16_t number = SignedWeights<kZeroPoint>(w);
    const int16x8_t low = vmull_s8(vget_low_s8(number), vget_low_s8(x));
    return vpadalq_s16(sum, vpaddq_s16(low, vmull_high_s8(number, x)));
  }
};

#if defined(__ARM_FEATURE_DOTPROD)
struct ProductOfQuads {
  static constexpr bool kIsUnsigned = false;
  static constexpr int kMaxTileRows = 6;  // 24 of 32 registers hold sums, as integers and floats
  template <int kZeroPoint>
  QEFF_INLINE static int32x4_t Add(int32x4_t sum, uint8x16_t w, int8x16_t x) {
    return vdotq_s32(sum, SignedWeights<kZeroPoint>(w), x);
  }
};
#endif

#if defined(__ARM_FEATURE_MATMUL_INT8)
struct ProductOfUnsignedQuads {
  static constexpr bool kIsUnsigned = true;
  static constexpr int kMaxTileRows = 6;
  template <int kZeroPoint>
  QEFF_INLINE static int32x4_t Add(int32x4_t sum, uint8x16_t w, int8x16_t x) {
    return vusdotq_s32(sum, w, x);
  }
};
#endif

template <int kVectors, typename Product>
struct QuantOpsNeon {
  static constexpr int kColumns = 4 * kVectors;
  static constexpr int kMaxTileRows = kVectors == 1 ? Product::kMaxTileRows : 1;
  struct Bytes {
    uint8x16_t at[kVectors];
  };
  struct Ints {
    int32x4_t at[kVectors];
  };
  struct Floats {
    Vec at[kVectors];
  };

  /// A Result of what `f` gives for each vector.
  template <typename Result, typename Function>
  QEFF_INLINE static Result ForEach(const Function& f) {
    Result result;
#pragma GCC unroll 4
    for (int i = 0; i < kVectors; ++i) result.at[i] = f(i);
    return result;
  }

  QEFF_INLINE static Bytes LoadBytes(const std::byte* from) {
    const auto* bytes = reinterpret_cast<const uint8_t*>(from);
    return ForEach<Bytes>([&](int i) { return vld1q_u8(bytes + 16 * i); });
  }
  QEFF_INLINE static void StoreBytes(std::byte* to, const Bytes& bytes) {
    auto* out = reinterpret_cast<uint8_t*>(to);
#pragma GCC unroll 4
    for (int i = 0; i < kVectors; ++i) vst1q_u8(out + 16 * i, bytes.at[i]);
  }
  QEFF_INLINE static Bytes BroadcastQuad(const std::byte* from) {
    uint32_t quad;
    std::memcpy(&quad, from, sizeof(quad));
    const uint8x16_t bytes = vreinterpretq_u8_u32(vdupq_n_u32(quad));
    return ForEach<Bytes>([&](int) { return bytes; });
  }
  QEFF_INLINE static Bytes LowNibbles(const Bytes& bytes) {
    return ForEach<Bytes>([&](int i) { return vandq_u8(bytes.at[i], vdupq_n_u8(0x0f)); });
  }
  QEFF_INLINE static Bytes HighNibbles(const Bytes& bytes) {
    return ForEach<Bytes>([&](int i) { return vshrq_n_u8(bytes.at[i], 4); });
  }
  template <int kShift>
  QEFF_INLINE static Bytes FromE2m3(const Bytes& low, const Bytes& upper) {
    // Codes below 16 are their number of eighths; the others are looked up by their low nibble.
    constexpr uint8x16_t kTable = {16, 18, 20, 22, 24, 26, 28, 30, 32, 36, 40, 44, 48, 52, 56, 60};
    return ForEach<Bytes>([&](int i) {
      const uint8x16_t is_large = vtstq_u8(upper.at[i], vdupq_n_u8(1 << kShift));
      const uint8x16_t is_negative =
          vtstq_u8(upper.at[i], vdupq_n_u8(static_cast<uint8_t>(2 << kShift)));
      const uint8x16_t magnitude = vbslq_u8(is_large, vqtbl1q_u8(kTable, low.at[i]), low.at[i]);
      const uint8x16_t offset = vdupq_n_u8(64);
      return vbslq_u8(is_negative, vsubq_u8(offset, magnitude), vaddq_u8(offset, magnitude));
    });
  }

  template <int kZeroPoint>
  QEFF_INLINE static Ints StartOfSum(const int32_t* start) {
    const bool has_zero_point = kZeroPoint != 128 || Product::kIsUnsigned;
    return ForEach<Ints>([&](int) { return vdupq_n_s32(has_zero_point ? *start : 0); });
  }
  template <int kZeroPoint>
  QEFF_INLINE static void AddProducts(Ints& sum, const Bytes& w, const Bytes& x) {
    sum = ForEach<Ints>([&](int i) {
      return Product::template Add<kZeroPoint>(sum.at[i], w.at[i], vreinterpretq_s8_u8(x.at[i]));
    });
  }

  QEFF_INLINE static Floats Zero() { return BroadcastFloat(0); }
  QEFF_INLINE static Floats BroadcastFloat(float value) {
    return ForEach<Floats>([&](int) { return Broadcast(value); });
  }
  QEFF_INLINE static Floats LoadFloats(const float* from) {
    return ForEach<Floats>([&](int i) { return Load(from + kLanes * i); });
  }
  QEFF_INLINE static void StoreFloats(float* to, const Floats& value) {
#pragma GCC unroll 4
    for (int i = 0; i < kVectors; ++i) Store(to + kLanes * i, value.at[i]);
  }
  QEFF_INLINE static Floats ToFloats(const Ints& sum) {
    return ForEach<Floats>([&](int i) { return __builtin_convertvector(sum.at[i], Vec); });
  }
  QEFF_INLINE static Floats MultiplyAdd(const Floats& a, const Floats& b, const Floats& c) {
    return ForEach<Floats>([&](int i) { return a.at[i] * b.at[i] + c.at[i]; });
  }
  QEFF_INLINE static Floats ScalesFromBf16(const std::byte* from) {
    const auto* halves = reinterpret_cast<const uint16_t*>(from);
    return ForEach<Floats>([&](int i) {
      return BitsToFloat(reinterpret_cast<VecU>(vshll_n_u16(vld1_u16(halves + kLanes * i), 16)));
    });
  }
  /// Of numbers in eighths. The exponent 0 is 2^-127, a denormal.
  QEFF_INLINE static Floats ScalesFromE8m0(const std::byte* from) {
    return ForEach<Floats>([&](int i) {
      uint8_t exponents[8] = {};
      std::memcpy(exponents, from + kLanes * i, kLanes);
      const uint32x4_t wide = vmovl_u16(vget_low_u16(vmovl_u8(vld1_u8(exponents))));
      const uint32x4_t bits = vmaxq_u32(vshlq_n_u32(wide, 23), vdupq_n_u32(0x00400000));
      return BitsToFloat(reinterpret_cast<VecU>(bits)) * 0.125f;
    });
  }
};

template <typename Product, template <typename> class PanelOf>
void RunQuantLinearNeon(const LinearArgs& args) {
  if (args.rows == 1) {
    RunQuantLinear<QuantOpsNeon<4, Product>, PanelOf>(args);
  } else {
    RunQuantLinear<QuantOpsNeon<1, Product>, PanelOf>(args);
  }
}

}  // namespace
}  // namespace qeff::cpu
