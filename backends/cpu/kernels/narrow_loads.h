// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Vectors of floats from narrower elements in memory, exactly.
#pragma once

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "backends/cpu/kernels/vector.h"

namespace qeff::cpu {
namespace {

using VecU16 = uint16_t __attribute__((vector_size(kLanes * 2)));
using VecI8 = int8_t __attribute__((vector_size(kLanes)));
using VecU8 = uint8_t __attribute__((vector_size(kLanes)));

// The compiler takes vectors apart to widen them, in 512 bits also those of 16 bits.
#if defined(__AVX512F__)
QEFF_INLINE VecI WidenI8(const int8_t* from) {
  __m128i bytes;
  std::memcpy(&bytes, from, sizeof(bytes));
  return reinterpret_cast<VecI>(_mm512_maskz_cvtepi8_epi32(0xffff, bytes));
}
QEFF_INLINE VecU WidenU8(const uint8_t* from) {
  __m128i bytes;
  std::memcpy(&bytes, from, sizeof(bytes));
  return reinterpret_cast<VecU>(_mm512_maskz_cvtepu8_epi32(0xffff, bytes));
}
#elif defined(__AVX2__)
QEFF_INLINE VecI WidenI8(const int8_t* from) {
  return reinterpret_cast<VecI>(
      _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from))));
}
QEFF_INLINE VecU WidenU8(const uint8_t* from) {
  return reinterpret_cast<VecU>(
      _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from))));
}
#elif defined(__aarch64__)
// The compiler takes vectors of 4 bytes and of 8 apart to widen them, here and below.
QEFF_INLINE uint8x8_t LoadFourBytes(const void* from) {
  uint32_t bytes;
  std::memcpy(&bytes, from, sizeof(bytes));
  return vreinterpret_u8_u32(vdup_n_u32(bytes));
}
QEFF_INLINE VecI WidenI8(const int8_t* from) {
  const int16x8_t halves = vmovl_s8(vreinterpret_s8_u8(LoadFourBytes(from)));
  return reinterpret_cast<VecI>(vmovl_s16(vget_low_s16(halves)));
}
QEFF_INLINE VecU WidenU8(const uint8_t* from) {
  return reinterpret_cast<VecU>(vmovl_u16(vget_low_u16(vmovl_u8(LoadFourBytes(from)))));
}
#else
QEFF_INLINE VecI WidenI8(const int8_t* from) {
  VecI8 bytes;
  std::memcpy(&bytes, from, sizeof(bytes));
  return __builtin_convertvector(bytes, VecI);
}
QEFF_INLINE VecU WidenU8(const uint8_t* from) {
  VecU8 bytes;
  std::memcpy(&bytes, from, sizeof(bytes));
  return __builtin_convertvector(bytes, VecU);
}
#endif

#if defined(__aarch64__)
QEFF_INLINE Vec LoadBf16(const uint16_t* from) {
  return BitsToFloat(reinterpret_cast<VecU>(vshll_n_u16(vld1_u16(from), 16)));
}
#elif defined(__AVX512F__)
QEFF_INLINE Vec LoadBf16(const uint16_t* from) {
  __m256i halves;
  std::memcpy(&halves, from, sizeof(halves));
  return BitsToFloat(reinterpret_cast<VecU>(_mm512_maskz_cvtepu16_epi32(0xffff, halves)) << 16);
}
#elif defined(__AVX2__)
QEFF_INLINE Vec LoadBf16(const uint16_t* from) {
  const __m256i wide =
      _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
  return BitsToFloat(reinterpret_cast<VecU>(wide) << 16);
}
#else
QEFF_INLINE Vec LoadBf16(const uint16_t* from) {
  VecU16 halves;
  std::memcpy(&halves, from, sizeof(halves));
  return BitsToFloat(__builtin_convertvector(halves, VecU) << 16);
}
#endif

#if defined(__AVX512F__)
QEFF_INLINE Vec LoadF16(const uint16_t* from) {
  __m256i halves;
  std::memcpy(&halves, from, sizeof(halves));
  return _mm512_maskz_cvtph_ps(0xffff, halves);
}
#elif defined(__F16C__)
QEFF_INLINE Vec LoadF16(const uint16_t* from) {
  __m128i halves;
  std::memcpy(&halves, from, sizeof(halves));
  return _mm256_cvtph_ps(halves);
}
#elif defined(__aarch64__)
QEFF_INLINE Vec LoadF16(const uint16_t* from) {
  return reinterpret_cast<Vec>(vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(from))));
}
#else
/// Exponent and mantissa at their places in f32 are too small by 2^112; multiplying by that also
/// makes normal numbers of subnormal ones. Infinity and NaN, then 2^16 and more, get their exponent
/// back.
QEFF_INLINE Vec LoadF16(const uint16_t* from) {
  VecU16 halves;
  std::memcpy(&halves, from, sizeof(halves));
  const VecU bits = __builtin_convertvector(halves, VecU);
  const Vec scaled = BitsToFloat((bits & 0x7fffu) << 13) * 0x1p112f;
  VecU magnitude = reinterpret_cast<VecU>(scaled);
  magnitude = (bits & 0x7c00u) == 0x7c00u ? magnitude | 0x7f800000u : magnitude;
  return BitsToFloat(magnitude | (bits & 0x8000u) << 16);
}
#endif

QEFF_INLINE Vec LoadI8(const int8_t* from) { return __builtin_convertvector(WidenI8(from), Vec); }

/// Powers of two from their E8M0 codes, exponents plus 127; infinity for the code of NaN.
QEFF_INLINE Vec LoadE8m0(const uint8_t* from) {
  const VecU bits = WidenU8(from) << 23;
  return BitsToFloat(bits > (1u << 22) ? bits : bits - bits + (1u << 22));  // 2^-127 is subnormal
}

}  // namespace
}  // namespace qeff::cpu
