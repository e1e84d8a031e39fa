// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Packing of one row tile. The loops are plain: compilers turn them into stores of single lanes,
// which is what a transposition of so few rows costs anyway.
#pragma once

#include <utility>

#include "backends/cpu/kernels/kernels.h"
#include "backends/cpu/kernels/vector.h"

namespace qeff::cpu {
namespace {

constexpr int64_t kPackBlock = 16;  // a cache line of each row at a time

struct PackF32 {
  template <int kRows>
  static void Tile(const PackRowsArgs& args) {
    auto* out = static_cast<float*>(args.out) + args.row_begin * args.depth;
    for (int64_t begin = 0; begin < args.depth; begin += kPackBlock) {
      const int64_t end = args.depth - begin < kPackBlock ? args.depth : begin + kPackBlock;
      for (int64_t r = 0; r < kRows; ++r) {
        const float* x = args.x + r * args.x_stride;
        for (int64_t k = begin; k < end; ++k) out[k * kRows + r] = x[k];
      }
    }
  }
};

struct PackBf16 {
  template <int kRows>
  static void Tile(const PackRowsArgs& args) {
    auto* out = static_cast<uint16_t*>(args.out) + args.row_begin * Bf16RowDepth(args.depth);
    for (int64_t begin = 0; begin < args.depth; begin += kPackBlock) {
      const int64_t end = args.depth - begin < kPackBlock ? args.depth : begin + kPackBlock;
      for (int64_t r = 0; r < kRows; ++r) {
        const float* x = args.x + r * args.x_stride;
        for (int64_t k = begin; k < end; ++k) {
          out[(k - k % 2) * kRows + 2 * r + k % 2] = RoundToBf16(x[k]);
        }
      }
    }
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
