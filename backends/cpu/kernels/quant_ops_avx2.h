// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Quantised products by vpmaddubsw, whose sums of two products saturate at 16 bits. Weights up to
// 124 and rows within 127 stay below that (31496). Stored int8 goes up to 255, so there the
// magnitude is multiplied and the sign goes to the row: 2 * 127 * 127 = 32258.
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
    return kZeroPoint == 128 ? _mm256_setzero_si256() : _mm256_set1_epi32(*start);
  }
  template <int kZeroPoint>
  QEFF_INLINE static void AddProducts(Ints& sum, Bytes w, Bytes x) {
    if constexpr (kZeroPoint == 128) {
      const __m256i number = _mm256_xor_si256(w, _mm256_set1_epi8(-128));
      x = _mm256_sign_epi8(x, number);
      w = _mm256_abs_epi8(number);
    }
    const __m256i pairs = _mm256_maddubs_epi16(w, x);
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
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

}  // namespace
}  // namespace qeff::cpu
