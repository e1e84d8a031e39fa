// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Rows of keys and values on their way into a cache of narrower elements.
#pragma once

#include "backends/cpu/kernels/kernels.h"
#include "backends/cpu/kernels/narrow_loads.h"

namespace qeff::cpu {
namespace {

constexpr uint32_t kInfinityBits = 0x7f800000u;

QEFF_INLINE VecU MagnitudeBits(Vec x) { return reinterpret_cast<VecU>(x) & 0x7fffffffu; }

/// bf16 in the low halves of the lanes.
QEFF_INLINE VecU ToBf16(Vec x) {
  const auto bits = reinterpret_cast<VecU>(x);
  const VecU rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  return MagnitudeBits(x) > kInfinityBits ? bits >> 16 | 0x40u : rounded;
}

/// f16 in the low halves of the lanes.
QEFF_INLINE VecU ToF16(Vec x) {
#if defined(__AVX512F__)
  const __m256i halves =
      _mm512_maskz_cvtps_ph(0xffff, reinterpret_cast<__m512>(x), _MM_FROUND_TO_NEAREST_INT);
  return reinterpret_cast<VecU>(_mm512_maskz_cvtepu16_epi32(0xffff, halves));
#elif defined(__F16C__)
  return reinterpret_cast<VecU>(_mm256_cvtepu16_epi32(
      _mm256_cvtps_ph(reinterpret_cast<__m256>(x), _MM_FROUND_TO_NEAREST_INT)));
#elif defined(__aarch64__)
  return reinterpret_cast<VecU>(
      vmovl_u16(vreinterpret_u16_f16(vcvt_f16_f32(reinterpret_cast<float32x4_t>(x)))));
#else
  const VecU magnitude = MagnitudeBits(x);
  // Below 2^-14: adding 0.5 puts the mantissa where a subnormal has it, and rounds.
  const VecU small = reinterpret_cast<VecU>(BitsToFloat(magnitude) + 0.5f) - 0x3f000000u;
  const VecU normal = (magnitude + 0xfffu + ((magnitude >> 13) & 1u) - 0x38000000u) >> 13;
  VecU half = magnitude < 0x38800000u ? small : normal;
  half = magnitude >= 0x47800000u ? VecU{} + 0x7c00u : half;  // 65536 and above
  half = magnitude > kInfinityBits ? VecU{} + 0x7e00u : half;
  return half | (reinterpret_cast<VecU>(x) >> 16 & 0x8000u);
#endif
}

QEFF_INLINE VecI8 NarrowI8(VecI integers) {
#if defined(__AVX512F__)  // the compiler takes the vector apart
  return reinterpret_cast<VecI8>(
      _mm512_maskz_cvtepi32_epi8(0xffff, reinterpret_cast<__m512i>(integers)));
#else
  return __builtin_convertvector(integers, VecI8);
#endif
}

/// The vector at x[begin], of `count` elements, with zeros after them.
QEFF_INLINE Vec LoadUpTo(const float* x, int64_t begin, int64_t count) {
  if (begin + kLanes <= count) return Load(x + begin);
  float last[kLanes] = {};
  for (int64_t i = begin; i < count; ++i) last[i - begin] = x[i];
  return Load(last);
}

template <VecU (*kConvert)(Vec)>
inline void ConvertRow16(const float* x, int64_t count, uint16_t* out) {
  for (int64_t i = 0; i < count; i += kLanes) {
    const VecU16 halves = __builtin_convertvector(kConvert(LoadUpTo(x, i, count)), VecU16);
    const int64_t left = count - i < kLanes ? count - i : kLanes;
    std::memcpy(out + i, &halves, static_cast<size_t>(left) * 2);
  }
}

/// One block of `count` elements; returns the code of its scale.
inline uint8_t ConvertMxint8Block(const float* x, int64_t count, int8_t* out) {
  VecU most{};
  for (int64_t i = 0; i < count; i += kLanes) {
    const VecU magnitude = MagnitudeBits(LoadUpTo(x, i, count));
    most = magnitude > most ? magnitude : most;
  }
  uint32_t largest = 0;
  for (int lane = 0; lane < kLanes; ++lane) largest = most[lane] > largest ? most[lane] : largest;
  if (largest >= kInfinityBits) {
    std::memset(out, 0, static_cast<size_t>(count));
    return 255;
  }
  // The exponent of the largest element, as f32 has it, is the code; all subnormals share 2^-127.
  const uint32_t code = largest >> 23;
  const uint32_t inverse_bits = code == 254 ? 1u << 22 : (254 - code) << 23;
  const Vec inverse = BitsToFloat(VecU{} + inverse_bits);
  for (int64_t i = 0; i < count; i += kLanes) {
    constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
    const Vec number = LoadUpTo(x, i, count) * inverse * 64.0f;
    const Vec limited = Min(Max(number, Broadcast(-127.0f)), Broadcast(127.0f));
    const VecI integer = reinterpret_cast<VecI>(limited + kRound) - 0x4b400000;
    const VecI8 bytes = NarrowI8(integer);
    const int64_t left = count - i < kLanes ? count - i : kLanes;
    std::memcpy(out + i, &bytes, static_cast<size_t>(left));
  }
  return static_cast<uint8_t>(code);
}

inline void ConvertCacheRow(const CacheRowArgs& args) {
  auto* halves = reinterpret_cast<uint16_t*>(args.elements);
  switch (args.format) {
    case CacheFormat::kF32:
      return;
    case CacheFormat::kBf16:
      return ConvertRow16<ToBf16>(args.x, args.channels, halves);
    case CacheFormat::kF16:
      return ConvertRow16<ToF16>(args.x, args.channels, halves);
    case CacheFormat::kMxint8:
      for (int64_t e = 0; e < args.channels; e += kMxBlock) {
        const int64_t left = args.channels - e;
        args.scales[e / kMxBlock] =
            ConvertMxint8Block(args.x + e, left < kMxBlock ? left : kMxBlock,
                               reinterpret_cast<int8_t*>(args.elements) + e);
      }
      return;
  }
}

}  // namespace
}  // namespace qeff::cpu
