// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Rows in the order of matrix tiles: 32 k of a row lie together, so packing is a conversion.
#pragma once

#include <immintrin.h>

#include "backends/cpu/kernels/kernels.h"

namespace qeff::cpu {
namespace {

constexpr int64_t kTile = 16;
constexpr int64_t kBlock = 32;

void PackRow(const float* x, int64_t depth, uint16_t* out, int64_t step) {
  int64_t k = 0;
  for (; k + kBlock <= depth; k += kBlock, out += step) {
    const __m512bh both =
        _mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + k + kBlock / 2), _mm512_loadu_ps(x + k));
    _mm512_storeu_si512(out, reinterpret_cast<__m512i>(both));
  }
  if (k == depth) return;
  const uint32_t mask = (uint32_t{1} << (depth - k)) - 1;
  const __m512 low = _mm512_maskz_loadu_ps(static_cast<__mmask16>(mask), x + k);
  const __m512 high = _mm512_maskz_loadu_ps(static_cast<__mmask16>(mask >> 16), x + k + kBlock / 2);
  _mm512_storeu_si512(out, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low)));
}

inline void RunPackRowsAmx(const PackRowsArgs& args) {
  auto* out = static_cast<uint16_t*>(args.out);
  for (int64_t i = 0; i < args.rows; ++i) {
    const int64_t row = args.row_begin + i;
    const int64_t tile = row / kTile * kTile;
    const int64_t tile_rows = args.total_rows - tile < kTile ? args.total_rows - tile : kTile;
    PackRow(args.x + i * args.x_stride, args.depth,
            out + tile * Bf16RowDepth(args.depth) + (row - tile) * kBlock, tile_rows * kBlock);
  }
}

}  // namespace
}  // namespace qeff::cpu
