// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Quantised products by vpmaddubsw, whose sums of two products saturate at 16 bits. Weights up to
// 124 and rows within 127 stay below that (31496). Those of int4, up to 15, leave room for a whole
// group of eight (30480), which is widened once. Stored int8 goes up to 255, so there the magnitude
// is multiplied and the sign goes to the row: 2 * 127 * 127 = 32258.
#pragma once

#include <immintrin.h>

#include "backends/cpu/kernels/linear_quant_body.h"

namespace qeff::cpu {
namespace {

struct QuantOps {
  static constexpr int kColumns = 8;
  static constexpr int kMaxTileRows = 4;
  using Bytes = __m256i;
  using Ints = __m256i;
  using Floats = __m256;

  QEFF_INLINE static Bytes LoadBytes(const std::byte* from) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  }
  QEFF_INLINE static void StoreBytes(std::byte* to, Bytes bytes) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), bytes);
  }
  QEFF_INLINE static Bytes BroadcastQuad(const std::byte* from) {
    int32_t quad;
    std::memcpy(&quad, from, sizeof(quad));
    return _mm256_set1_epi32(quad);
  }
  QEFF_INLINE static Bytes LowNibbles(Bytes bytes) {
    return _mm256_and_si256(bytes, _mm256_set1_epi8(0x0f));
  }
  QEFF_INLINE static Bytes HighNibbles(Bytes bytes) {
    return LowNibbles(_mm256_srli_epi16(bytes, 4));
  }
  template <int kShift>
  QEFF_INLINE static Bytes FromE2m3(Bytes low, Bytes upper) {
    // Codes below 16 are their number of eighths; the others are looked up by their low nibble.
    const __m256i table = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(16, 18, 20, 22, 24, 26, 28, 30, 32, 36, 40, 44, 48, 52, 56, 60));
    const __m256i at_top = _mm256_slli_epi16(upper, 7 - kShift);  // exponent's upper bit
    const __m256i magnitude = _mm256_blendv_epi8(low, _mm256_shuffle_epi8(table, low), at_top);
    const __m256i sign = kShift == 6 ? upper : _mm256_slli_epi16(upper, 6 - kShift);
    const __m256i offset = _mm256_set1_epi8(64);
    return _mm256_blendv_epi8(_mm256_add_epi8(offset, magnitude),
                              _mm256_sub_epi8(offset, magnitude), sign);
  }

  template <int kZeroPoint>
  QEFF_INLINE static Ints StartOfSum(const int32_t* start) {
    return kZeroPoint == kMxfp6Layout.zero_point ? _mm256_set1_epi32(*start)
                                                 : _mm256_setzero_si256();
  }
  template <int kZeroPoint>
  requires(kZeroPoint == kInt4Layout.zero_point) QEFF_INLINE static Ints
      FinishSum(Ints sum, const int32_t* start) {
    return _mm256_add_epi32(WidenPairs(sum), _mm256_set1_epi32(*start));
  }
  template <int kZeroPoint>
  QEFF_INLINE static void AddProducts(Ints& sum, Bytes w, Bytes x) {
    if constexpr (kZeroPoint == kInt8Layout.zero_point) {
      const __m256i number = _mm256_xor_si256(w, _mm256_set1_epi8(-128));
      x = _mm256_sign_epi8(x, number);
      w = _mm256_abs_epi8(number);
    }
    const __m256i pairs = _mm256_maddubs_epi16(w, x);
    if constexpr (kZeroPoint == kInt4Layout.zero_point) {
      sum = _mm256_add_epi16(sum, pairs);
    } else {
      sum = _mm256_add_epi32(sum, WidenPairs(pairs));
    }
  }
  /// Sums of neighbours in 16 bits.
  QEFF_INLINE static Ints WidenPairs(__m256i pairs) {
    return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
  }

  QEFF_INLINE static Floats Zero() { return _mm256_setzero_ps(); }
  QEFF_INLINE static Floats BroadcastFloat(float value) { return _mm256_set1_ps(value); }
  QEFF_INLINE static Floats LoadFloats(const float* from) { return _mm256_loadu_ps(from); }
  QEFF_INLINE static void StoreFloats(float* to, Floats value) { _mm256_storeu_ps(to, value); }
  QEFF_INLINE static Floats ToFloats(Ints sum) { return _mm256_cvtepi32_ps(sum); }
  QEFF_INLINE static Floats MultiplyAdd(Floats a, Floats b, Floats c) {
    return _mm256_fmadd_ps(a, b, c);
  }
  QEFF_INLINE static Floats ScalesFromBf16(const std::byte* from) {
    const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
  }
  /// Of numbers in eighths. The exponent 0 is 2^-127, a denormal.
  QEFF_INLINE static Floats ScalesFromE8m0(const std::byte* from) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from));
    const __m256i bits = _mm256_slli_epi32(_mm256_cvtepu8_epi32(bytes), 23);
    const __m256i scales = _mm256_max_epu32(bits, _mm256_set1_epi32(0x00400000));
    return _mm256_mul_ps(_mm256_castsi256_ps(scales), _mm256_set1_ps(0.125f));
  }
};

/// Two vectors at a time, so that a single row reads its panel once, in order. Only what streams
/// need.
struct QuantOpsWide {
  static constexpr int kColumns = 2 * QuantOps::kColumns;
  /// The integer sums of two panels of int8 fit the registers, four of the others are spilled
  /// between groups only. One stream was 10 to 20 % slower on a Xeon, four of int8 3 %.
  template <int kZeroPoint>
  static constexpr int kStreams = kZeroPoint == kInt8Layout.zero_point ? 2 : 4;
  struct Bytes {
    QuantOps::Bytes at[2];
  };
  struct Ints {
    QuantOps::Ints at[2];
  };
  struct Floats {
    QuantOps::Floats at[2];
  };

  QEFF_INLINE static Bytes LoadBytes(const std::byte* from) {
    return {{QuantOps::LoadBytes(from), QuantOps::LoadBytes(from + 32)}};
  }
  QEFF_INLINE static Bytes BroadcastQuad(const std::byte* from) {
    const QuantOps::Bytes quad = QuantOps::BroadcastQuad(from);
    return {{quad, quad}};
  }
  QEFF_INLINE static Bytes LowNibbles(const Bytes& bytes) {
    return {{QuantOps::LowNibbles(bytes.at[0]), QuantOps::LowNibbles(bytes.at[1])}};
  }
  QEFF_INLINE static Bytes HighNibbles(const Bytes& bytes) {
    return {{QuantOps::HighNibbles(bytes.at[0]), QuantOps::HighNibbles(bytes.at[1])}};
  }
  template <int kShift>
  QEFF_INLINE static Bytes FromE2m3(const Bytes& low, const Bytes& upper) {
    return {{QuantOps::FromE2m3<kShift>(low.at[0], upper.at[0]),
             QuantOps::FromE2m3<kShift>(low.at[1], upper.at[1])}};
  }

  template <int kZeroPoint>
  QEFF_INLINE static Ints StartOfSum(const int32_t* start) {
    const QuantOps::Ints sum = QuantOps::StartOfSum<kZeroPoint>(start);
    return {{sum, sum}};
  }
  template <int kZeroPoint>
  requires(kZeroPoint == kInt4Layout.zero_point) QEFF_INLINE static Ints
      FinishSum(const Ints& sum, const int32_t* start) {
    return {{QuantOps::FinishSum<kZeroPoint>(sum.at[0], start),
             QuantOps::FinishSum<kZeroPoint>(sum.at[1], start)}};
  }
  template <int kZeroPoint>
  QEFF_INLINE static void AddProducts(Ints& sum, const Bytes& w, const Bytes& x) {
    QuantOps::AddProducts<kZeroPoint>(sum.at[0], w.at[0], x.at[0]);
    QuantOps::AddProducts<kZeroPoint>(sum.at[1], w.at[1], x.at[1]);
  }

  QEFF_INLINE static Floats Zero() { return {{QuantOps::Zero(), QuantOps::Zero()}}; }
  QEFF_INLINE static Floats BroadcastFloat(float value) {
    return {{QuantOps::BroadcastFloat(value), QuantOps::BroadcastFloat(value)}};
  }
  QEFF_INLINE static void StoreFloats(float* to, const Floats& value) {
    QuantOps::StoreFloats(to, value.at[0]);
    QuantOps::StoreFloats(to + 8, value.at[1]);
  }
  QEFF_INLINE static Floats ToFloats(const Ints& sum) {
    return {{QuantOps::ToFloats(sum.at[0]), QuantOps::ToFloats(sum.at[1])}};
  }
  QEFF_INLINE static Floats MultiplyAdd(const Floats& a, const Floats& b, const Floats& c) {
    return {{QuantOps::MultiplyAdd(a.at[0], b.at[0], c.at[0]),
             QuantOps::MultiplyAdd(a.at[1], b.at[1], c.at[1])}};
  }
  QEFF_INLINE static Floats ScalesFromBf16(const std::byte* from) {
    return {{QuantOps::ScalesFromBf16(from), QuantOps::ScalesFromBf16(from + 16)}};
  }
  QEFF_INLINE static Floats ScalesFromE8m0(const std::byte* from) {
    return {{QuantOps::ScalesFromE8m0(from), QuantOps::ScalesFromE8m0(from + 8)}};
  }
};

template <template <typename> class PanelOf>
void RunQuantLinearAvx2(const LinearArgs& args) {
  if (args.rows == 1) {
    RunAsStreams<QuantStreams<QuantOpsWide, PanelOf<QuantOpsWide>>>(args);
  } else {
    RunQuantLinear<QuantOps, PanelOf>(args);
  }
}

}  // namespace
}  // namespace qeff::cpu
