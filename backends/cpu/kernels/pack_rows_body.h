// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Packing of one row tile: squares of four rows by four numbers are transposed in registers. The
// rows that are left over, and the last k, are moved one by one.
#pragma once

#include <utility>

#include "backends/cpu/kernels/kernels.h"
#include "backends/cpu/kernels/vector.h"

namespace qeff::cpu {
namespace {

using Vec4 = float __attribute__((vector_size(16)));
using VecU4 = uint32_t __attribute__((vector_size(16)));

constexpr int64_t kPackBlock = 16;  // a cache line of each row at a time
/// Rows are apart, often by pages, where the processor's own prefetching begins anew.
constexpr int64_t kPackAhead = 4 * kPackBlock;

/// Number i of row j becomes number j of row i.
template <typename Four>
QEFF_INLINE void Transpose4(Four (&rows)[4]) {
  const Four low01 = __builtin_shufflevector(rows[0], rows[1], 0, 4, 1, 5);
  const Four high01 = __builtin_shufflevector(rows[0], rows[1], 2, 6, 3, 7);
  const Four low23 = __builtin_shufflevector(rows[2], rows[3], 0, 4, 1, 5);
  const Four high23 = __builtin_shufflevector(rows[2], rows[3], 2, 6, 3, 7);
  rows[0] = __builtin_shufflevector(low01, low23, 0, 1, 4, 5);
  rows[1] = __builtin_shufflevector(low01, low23, 2, 3, 6, 7);
  rows[2] = __builtin_shufflevector(high01, high23, 0, 1, 4, 5);
  rows[3] = __builtin_shufflevector(high01, high23, 2, 3, 6, 7);
}

QEFF_INLINE VecU4 LoadBits(const float* from) {
  VecU4 bits;
  std::memcpy(&bits, from, sizeof(bits));
  return bits;
}

/// Format: Out (element type), At(tile, k, row, rows), One(x): a number as it is packed, and
/// Square(x, x_stride, to, rows): four rows by kStep k, which divides kPackBlock.
template <typename Format, int kRows>
void PackTile(const PackRowsArgs& args, typename Format::Out* out) {
  constexpr int64_t kStep = Format::kStep;
  constexpr int64_t kSquareRows = kRows / 4 * 4;
  const int64_t whole = args.depth / kStep * kStep;
  for (int64_t begin = 0; begin < args.depth; begin += kPackBlock) {
    const int64_t end = args.depth - begin < kPackBlock ? args.depth : begin + kPackBlock;
    for (int64_t r = 0; r < kRows; ++r) {
      __builtin_prefetch(args.x + r * args.x_stride + begin + kPackAhead);
    }
    for (int64_t r = 0; r < kSquareRows; r += 4) {
      const float* x = args.x + r * args.x_stride;
      for (int64_t k = begin; k < end && k < whole; k += kStep) {
        Format::Square(x + k, args.x_stride, Format::At(out, k, r, kRows), kRows);
      }
    }
    for (int64_t r = 0; r < kRows; ++r) {
      const int64_t first = r < kSquareRows && begin < whole ? (end < whole ? end : whole) : begin;
      for (int64_t k = first; k < end; ++k) {
        *Format::At(out, k, r, kRows) = Format::One(args.x[r * args.x_stride + k]);
      }
    }
  }
}

struct PackF32 {
  using Out = float;
  static constexpr int64_t kStep = 4;
  QEFF_INLINE static float* At(float* tile, int64_t k, int64_t row, int64_t rows) {
    return tile + k * rows + row;
  }
  QEFF_INLINE static float One(float x) { return x; }
  QEFF_INLINE static void Square(const float* x, int64_t x_stride, float* to, int64_t rows) {
    Vec4 square[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) std::memcpy(&square[i], x + i * x_stride, sizeof(Vec4));
    Transpose4(square);
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) std::memcpy(to + i * rows, &square[i], sizeof(Vec4));
  }
  template <int kRows>
  static void Tile(const PackRowsArgs& args) {
    PackTile<PackF32, kRows>(args, static_cast<float*>(args.out) + args.row_begin * args.depth);
  }
};

struct PackBf16 {
  using Out = uint16_t;
  static constexpr int64_t kStep = 8;
  QEFF_INLINE static uint16_t* At(uint16_t* tile, int64_t k, int64_t row, int64_t rows) {
    return tile + (k - k % 2) * rows + 2 * row + k % 2;
  }
  QEFF_INLINE static uint16_t One(float x) { return RoundToBf16(x); }
  QEFF_INLINE static void Square(const float* x, int64_t x_stride, uint16_t* to, int64_t rows) {
    VecU4 square[4];  // of pairs
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const VecU4 first = RoundBitsToBf16(LoadBits(x + i * x_stride));
      const VecU4 second = RoundBitsToBf16(LoadBits(x + i * x_stride + 4));
      square[i] = __builtin_shufflevector(first, second, 0, 2, 4, 6) |
                  __builtin_shufflevector(first, second, 1, 3, 5, 7) << 16;
    }
    Transpose4(square);
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) std::memcpy(to + 2 * i * rows, &square[i], sizeof(VecU4));
  }
  template <int kRows>
  static void Tile(const PackRowsArgs& args) {
    auto* out = static_cast<uint16_t*>(args.out) + args.row_begin * Bf16RowDepth(args.depth);
    PackTile<PackBf16, kRows>(args, out);
    if (args.depth % 2 != 0) {
      for (int64_t r = 0; r < kRows; ++r) out[(args.depth - 1) * kRows + 2 * r + 1] = 0;
    }
  }
};

template <typename Format, size_t... kIndex>
void SelectPackTile(const PackRowsArgs& args, std::index_sequence<kIndex...>) {
  using Function = void (*)(const PackRowsArgs&);
  static constexpr Function kTiles[] = {&Format::template Tile<static_cast<int>(kIndex) + 1>...};
  kTiles[args.rows - 1](args);
}

inline void RunPackRowsF32(const PackRowsArgs& args) {
  SelectPackTile<PackF32>(args, std::make_index_sequence<12>());
}
inline void RunPackRowsBf16(const PackRowsArgs& args) {
  SelectPackTile<PackBf16>(args, std::make_index_sequence<12>());
}

}  // namespace
}  // namespace qeff::cpu
