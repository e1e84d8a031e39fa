// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Quantised products by vpdpbusd: each 32-bit lane takes the four products of one quad. 6 rows of
// two vectors, as integers and as floats, are 24 of 32 registers.
#pragma once

#include <immintrin.h>

#include "backends/cpu/kernels/linear_quant_body.h"

namespace qeff::cpu {
namespace {

struct QuantOps {
  static constexpr int kColumns = 16;
  static constexpr int kMaxTileRows = 6;
  using Bytes = __m512i;
  using Ints = __m512i;
  using Floats = __m512;

  QEFF_INLINE static Bytes LoadBytes(const std::byte* from) { return _mm512_loadu_si512(from); }
  QEFF_INLINE static void StoreBytes(std::byte* to, Bytes bytes) { _mm512_storeu_si512(to, bytes); }
  QEFF_INLINE static Bytes BroadcastQuad(const std::byte* from) {
    int32_t quad;
    std::memcpy(&quad, from, sizeof(quad));
    return _mm512_set1_epi32(quad);
  }
  QEFF_INLINE static Bytes LowNibbles(Bytes bytes) {
    return _mm512_and_si512(bytes, _mm512_set1_epi8(0x0f));
  }
  QEFF_INLINE static Bytes HighNibbles(Bytes bytes) {
    return LowNibbles(_mm512_srli_epi16(bytes, 4));
  }
  template <int kShift>
  QEFF_INLINE static Bytes FromE2m3(Bytes low, Bytes upper) {
    // Codes below 16 are their number of eighths; the others are looked up by their low nibble.
    const __m512i table = _mm512_broadcast_i32x4(
        _mm_setr_epi8(16, 18, 20, 22, 24, 26, 28, 30, 32, 36, 40, 44, 48, 52, 56, 60));
    const __mmask64 is_large = _mm512_test_epi8_mask(upper, _mm512_set1_epi8(1 << kShift));
    const __mmask64 is_negative =
        _mm512_test_epi8_mask(upper, _mm512_set1_epi8(static_cast<char>(2 << kShift)));
    const __m512i magnitude = _mm512_mask_shuffle_epi8(low, is_large, table, low);
    const __m512i offset = _mm512_set1_epi8(64);
    return _mm512_mask_sub_epi8(_mm512_add_epi8(offset, magnitude), is_negative, offset, magnitude);
  }

  template <int kZeroPoint>
  QEFF_INLINE static Ints StartOfSum(const int32_t* start) {
    return _mm512_set1_epi32(*start);
  }
  template <int kZeroPoint>
  QEFF_INLINE static void AddProducts(Ints& sum, Bytes w, Bytes x) {
    sum = _mm512_dpbusd_epi32(sum, w, x);
  }

  QEFF_INLINE static Floats Zero() { return _mm512_setzero_ps(); }
  QEFF_INLINE static Floats BroadcastFloat(float value) { return _mm512_set1_ps(value); }
  QEFF_INLINE static Floats LoadFloats(const float* from) { return _mm512_loadu_ps(from); }
  QEFF_INLINE static void StoreFloats(float* to, Floats value) { _mm512_storeu_ps(to, value); }
  QEFF_INLINE static Floats ToFloats(Ints sum) { return _mm512_cvtepi32_ps(sum); }
  QEFF_INLINE static Floats MultiplyAdd(Floats a, Floats b, Floats c) {
    return _mm512_fmadd_ps(a, b, c);
  }
  QEFF_INLINE static Floats ScalesFromBf16(const std::byte* from) {
    const __m256i halves = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
  }
  /// Of numbers in eighths. The exponent 0 is 2^-127, a denormal.
  QEFF_INLINE static Floats ScalesFromE8m0(const std::byte* from) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    const __m512i bits = _mm512_slli_epi32(_mm512_cvtepu8_epi32(bytes), 23);
    const __m512i scales = _mm512_max_epu32(bits, _mm512_set1_epi32(0x00400000));
    return _mm512_mul_ps(_mm512_castsi512_ps(scales), _mm512_set1_ps(0.125f));
  }
};

}  // namespace
}  // namespace qeff::cpu
