// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// As quant_ops_avx512_vnni.h, with one lookup for each vector of E2M3 codes.
#pragma once

#include "backends/cpu/kernels/quant_ops_avx512_vnni.h"

namespace qeff::cpu {
namespace {

/// 64 plus the number of eighths, by code.
struct E2m3Table {
  alignas(64) uint8_t at[64] = {};
  constexpr E2m3Table() {
    for (int code = 0; code < 64; ++code) {
      const int exponent = code >> 3 & 3;
      const int eighths = exponent == 0 ? code & 7 : (8 + (code & 7)) << (exponent - 1);
      at[code] = static_cast<uint8_t>((code & 0x20) != 0 ? 64 - eighths : 64 + eighths);
    }
  }
};
constexpr E2m3Table kE2m3Table;

struct QuantOpsVbmi : QuantOps {
  template <int kShift>
  QEFF_INLINE static Bytes FromE2m3(Bytes low, Bytes upper) {
    const Bytes shifted =
        kShift < 4 ? _mm512_slli_epi16(upper, 4 - kShift) : _mm512_srli_epi16(upper, kShift - 4);
    constexpr int kOrAnd = 0xf8;  // a | (b & c)
    const Bytes code = _mm512_ternarylogic_epi32(low, shifted, _mm512_set1_epi8(0x30), kOrAnd);
    return _mm512_permutexvar_epi8(code, _mm512_load_si512(kE2m3Table.at));
  }
};

}  // namespace
}  // namespace qeff::cpu
