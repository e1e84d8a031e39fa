// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Quantising of one row tile: each block of 128 values of a row gets its scale, its numbers, and
// minus the zero point times the sums of its groups (kernels.h). Every instruction set gives the
// same bytes.
#pragma once

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "backends/cpu/kernels/kernels.h"
#include "backends/cpu/kernels/vector.h"

namespace qeff::cpu {
namespace {

using VecS8 = int8_t __attribute__((vector_size(kLanes)));

/// Where one block of one row goes.
struct QuantBlockOut {
  std::byte* numbers;
  float* scale;
  int32_t* starts;
};

/// Numbers that are worked on together, as many as a vector of 32 bytes has.
constexpr int64_t kNumbers = 32;
/// As bytes.
QEFF_INLINE void StoreNumbers(const VecI (&numbers)[kNumbers / kLanes], std::byte* to) {
#if defined(__AVX2__) && !defined(__AVX512F__)  // the compiler would take them apart
  const __m256i low = _mm256_packs_epi32(__m256i(numbers[0]), __m256i(numbers[1]));
  const __m256i high = _mm256_packs_epi32(__m256i(numbers[2]), __m256i(numbers[3]));
  const __m256i in_order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  const __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high), in_order);
  std::memcpy(to, &bytes, sizeof(bytes));
#else
  for (int i = 0; i < kNumbers / kLanes; ++i) {
    const VecS8 narrow = __builtin_convertvector(numbers[i], VecS8);
    std::memcpy(to + i * kLanes, &narrow, sizeof(narrow));
  }
#endif
}

/// The largest magnitude of a block; NaN if there is one.
QEFF_INLINE float LargestMagnitude(const float* x) {
  VecI largest = {};  // magnitudes of floats are in the order of their bits, NaN last
  for (int64_t i = 0; i < kQuantBlock; i += kLanes) {
    const VecI bits = reinterpret_cast<VecI>(LoadU(x + i) & 0x7fffffffu);
    largest = Max(bits, largest);
  }
  const int32_t result = MaxLane(largest);
  float value;
  std::memcpy(&value, &result, sizeof(value));
  return value;
}

QEFF_INLINE void QuantiseBlock(const float* x, const QuantLayout& layout,
                               const QuantBlockOut& out) {
  const float largest = LargestMagnitude(x);
  *out.scale = largest / 127.0f;
  // The inverse of a denormal would be infinite; NaN takes the same way, its scale says it all.
  const float inverse = largest >= 1e-36f ? 127.0f / largest : 0.0f;
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  VecI sum = {};
  for (int64_t begin = 0; begin < kQuantBlock; begin += kNumbers) {
    VecI numbers[kNumbers / kLanes];
    for (int i = 0; i < kNumbers / kLanes; ++i) {
      const Vec scaled = Load(x + begin + i * kLanes) * inverse;
      // Limits between product and sum: together they would become one rounding where there is FMA.
      const Vec limited = Min(Max(scaled, Broadcast(-127.0f)), Broadcast(127.0f));
      numbers[i] = reinterpret_cast<VecI>(limited + kRound) - 0x4b400000;
      sum += numbers[i];
    }
    StoreNumbers(numbers, out.numbers + begin);
    if ((begin + kNumbers) % layout.group == 0) {
      out.starts[begin / layout.group] = -layout.zero_point * SumLanes(sum);
      sum = VecI{};
    }
  }
}

inline void RunPackRowsQuant(const PackRowsArgs& args) {
  const int64_t groups = args.layout.groups_of_block();
  for (int64_t block = 0; block < QuantBlocks(args.depth); ++block) {
    std::byte* to = static_cast<std::byte*>(args.out) +
                    args.row_begin * args.layout.row_bytes(args.depth) +
                    block * args.rows * args.layout.row_block_bytes();
    auto* scales = reinterpret_cast<float*>(to + args.rows * kQuantBlock);
    auto* starts = reinterpret_cast<int32_t*>(scales + args.rows);
    const int64_t left = args.depth - block * kQuantBlock;
    for (int64_t r = 0; r < args.rows; ++r) {
      const float* x = args.x + r * args.x_stride + block * kQuantBlock;
      float filled[kQuantBlock];
      if (left < kQuantBlock) {
        for (int64_t i = 0; i < kQuantBlock; ++i) filled[i] = i < left ? x[i] : 0.0f;
        x = filled;
      }
      QuantiseBlock(x, args.layout, {to + r * kQuantBlock, scales + r, starts + r * groups});
    }
  }
}

}  // namespace
}  // namespace qeff::cpu
