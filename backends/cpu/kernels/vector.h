// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Vectors of floats of the width that the including source is compiled for, written with the
// compiler's vector types, so that one kernel body serves every instruction set. For *_body.h files
// only. Everything has internal linkage: code compiled for one instruction set must never be merged
// with code for another.
#pragma once

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include <cstdint>
#include <cstring>
#include <utility>

namespace qeff::cpu {
namespace {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

using Vec = float __attribute__((vector_size(kLanes * 4)));
using VecI = int32_t __attribute__((vector_size(kLanes * 4)));
using VecU = uint32_t __attribute__((vector_size(kLanes * 4)));

#define QEFF_INLINE [[gnu::always_inline]] inline

QEFF_INLINE Vec Load(const float* from) {
  Vec value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}
QEFF_INLINE VecU LoadU(const void* from) {
  VecU value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}
QEFF_INLINE void Store(float* to, Vec value) { std::memcpy(to, &value, sizeof(value)); }
/// The bits stay as they are, whatever they are: compilers know that x - 0 is x.
QEFF_INLINE Vec Broadcast(float value) { return value - Vec{}; }
QEFF_INLINE VecI BroadcastI(int32_t value) { return value - VecI{}; }
QEFF_INLINE Vec BitsToFloat(VecU bits) { return reinterpret_cast<Vec>(bits); }
/// 0, 1, 2, ...
QEFF_INLINE VecI LaneIndex() {
  VecI index;
  for (int i = 0; i < kLanes; ++i) index[i] = i;
  return index;
}

/// The larger of each lane; `b` where one of them is NaN, as x86 has it in one instruction. gcc 12
/// warns of its own header in the unmasked form.
#if defined(__AVX512F__)
QEFF_INLINE Vec Max(Vec a, Vec b) { return _mm512_maskz_max_ps(0xffff, a, b); }
QEFF_INLINE Vec Min(Vec a, Vec b) { return _mm512_maskz_min_ps(0xffff, a, b); }
#elif defined(__AVX2__)
QEFF_INLINE Vec Max(Vec a, Vec b) { return _mm256_max_ps(a, b); }
QEFF_INLINE Vec Min(Vec a, Vec b) { return _mm256_min_ps(a, b); }
#else
QEFF_INLINE Vec Max(Vec a, Vec b) { return a > b ? a : b; }
QEFF_INLINE Vec Min(Vec a, Vec b) { return a < b ? a : b; }
#endif
QEFF_INLINE VecI Max(VecI a, VecI b) { return a > b ? a : b; }

/// Lane i is lane i + kBy, from the first on again after the last.
template <int kBy, typename V, size_t... kIndex>
QEFF_INLINE V Rotate(V value, std::index_sequence<kIndex...>) {
  return __builtin_shufflevector(value, value, (static_cast<int>(kIndex) + kBy) % kLanes...);
}
template <int kBy, typename V>
QEFF_INLINE V Rotate(V value) {
  return Rotate<kBy>(value, std::make_index_sequence<kLanes>());
}
/// Of a Vec or VecI: halves are added until one lane is left.
template <int kBy = kLanes / 2, typename V>
QEFF_INLINE auto SumLanes(V value) {
  value += Rotate<kBy>(value);
  if constexpr (kBy > 1) return SumLanes<kBy / 2>(value);
  return value[0];
}
template <int kBy = kLanes / 2, typename V>
QEFF_INLINE auto MaxLane(V value) {
  value = Max(Rotate<kBy>(value), value);
  if constexpr (kBy > 1) return MaxLane<kBy / 2>(value);
  return value[0];
}

/// e^x with a relative error below 2e-7: x = n ln 2 + r, Taylor in r up to r^7, exponent added.
/// Below -87.3 the result is 0, above 88.7 infinity; NaN stays NaN.
QEFF_INLINE Vec Exp(Vec x) {
  const Vec limited = Min(Max(x, Broadcast(-87.3f)), Broadcast(88.7f));
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  const Vec shifted = limited * 1.44269504f + kRound;
  const Vec n = shifted - kRound;
  const Vec r = (limited - n * 0.693145752f) - n * 1.42860677e-6f;
  Vec p = Broadcast(1.9841270e-4f);
  p = p * r + 1.3888889e-3f;
  p = p * r + 8.3333333e-3f;
  p = p * r + 4.1666667e-2f;
  p = p * r + 1.6666667e-1f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const VecI exponent = reinterpret_cast<VecI>(shifted) << 23;  // the low bits of `shifted` hold n
  Vec result = reinterpret_cast<Vec>(reinterpret_cast<VecI>(p) + exponent);
  result = x < -87.3f ? Broadcast(0.0f) : result;
  result = x > 88.7f ? Broadcast(__builtin_inff()) : result;
  return x == x ? result : x;
}

/// The bf16 nearest to a f32 of these bits, ties to even, in the low half. `Bits` is uint32_t or a
/// vector of them. As lib/support/float16.h, repeated here because kernels must not share functions
/// with code for other machines.
template <typename Bits>
QEFF_INLINE Bits RoundBitsToBf16(Bits bits) {
  const Bits rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const Bits quiet_nan = (bits >> 16) | 0x40u;
  return (bits & 0x7fffffffu) > 0x7f800000u ? quiet_nan : rounded;
}
inline uint16_t RoundToBf16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return static_cast<uint16_t>(RoundBitsToBf16(bits));
}

}  // namespace
}  // namespace qeff::cpu
