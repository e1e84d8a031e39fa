// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Packing of one row tile of bf16 for NEON: four k of a row are rounded together and stored as two
// pairs. With the bf16 extension one instruction rounds.
#pragma once

#include <arm_neon.h>

#include "backends/cpu/kernels/pack_rows_body.h"
#include "backends/cpu/kernels/vector.h"

namespace qeff::cpu {
namespace {

/// Four values to nearest even, as two pairs; a NaN becomes quiet.
QEFF_INLINE uint32x2_t RoundToBf16Pairs(Vec x) {
#if defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)
  return vreinterpret_u32_bf16(vcvt_bf16_f32(reinterpret_cast<float32x4_t>(x)));
#else
  const auto bits = reinterpret_cast<VecU>(x);
  const VecU rounded = bits + 0x7fffu + ((bits >> 16) & 1u);
  const VecU chosen = (bits & 0x7fffffffu) > 0x7f800000u ? bits | 0x00400000u : rounded;
  return vreinterpret_u32_u16(vshrn_n_u32(reinterpret_cast<uint32x4_t>(chosen), 16));
#endif
}

struct PackBf16Neon {
  template <int kRows>
  static void Tile(const PackRowsArgs& args) {
    auto* out = static_cast<uint16_t*>(args.out) + args.row_begin * Bf16RowDepth(args.depth);
    for (int64_t begin = 0; begin < args.depth; begin += kPackBlock) {
      const int64_t end = args.depth - begin < kPackBlock ? args.depth : begin + kPackBlock;
      for (int64_t r = 0; r < kRows; ++r) {
        const float* x = args.x + r * args.x_stride;
        for (int64_t k = begin; k < end; k += kLanes) {
          auto* to = reinterpret_cast<uint32_t*>(out + k * kRows + 2 * r);
          if (k + kLanes <= end) {
            const uint32x2_t pairs = RoundToBf16Pairs(Load(x + k));
            vst1_lane_u32(to, pairs, 0);
            vst1_lane_u32(to + kRows, pairs, 1);
            continue;
          }
          float last[kLanes] = {};  // an odd depth ends with a zero
          for (int64_t i = k; i < end; ++i) last[i - k] = x[i];
          const uint32x2_t pairs = RoundToBf16Pairs(Load(last));
          vst1_lane_u32(to, pairs, 0);
          if (end - k > 2) vst1_lane_u32(to + kRows, pairs, 1);
        }
      }
    }
  }
};

}  // namespace
}  // namespace qeff::cpu
