// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Linear of many rows with weights, or weights and rows, narrower than f32: a block of a panel is
// widened once for all rows, a tile of rows once for the panels of a strip. The sums are those of
// widening in the register tile, bit for bit, which takes instructions for every tile.
#pragma once

#include "backends/cpu/kernels/linear_f32_body.h"

namespace qeff::cpu {
namespace {

/// So few rows are widened in the register tile: a block of weights would take too long for them.
constexpr int64_t kMostTileWidenedRows = kFewTiles * kTileRows;
constexpr int64_t kWidenedDepth = LinearF32Format::kBlockDepth;
constexpr int64_t kWidenedWeights = kWidenedDepth * kPanelColumns;
static_assert(kWidenedWeights + kBlockRows * kWidenedDepth <= kAmxRowBytes / 4);

/// Weights as f32, after the strips.
template <typename Format>
class WidenedWeights : public StoredOperands<Format> {
 public:
  using TileFormat = LinearF32Format;
  static_assert(Format::kBlockDepth <= kWidenedDepth);
  static_assert(WidenedWeights::kStripPanels * kBlockRows * kPanelColumns <= kAmxStripFloats);
  explicit WidenedWeights(const LinearArgs& args)
      : StoredOperands<Format>(args), weights_(args.scratch + kAmxStripFloats) {}
  const float* Weights(const typename Format::Weight* stored, int64_t depth) const {
    Format::WidenWeights(stored, depth, weights_);
    return weights_;
  }

 private:
  float* weights_;
};

/// Rows, too, after the weights.
template <typename Format>
class WidenedOperands : public WidenedWeights<Format> {
 public:
  /// 4 were 3 % slower on a Xeon, 8 as fast, whose sums take a mebibyte with the rows.
  static constexpr int64_t kStripPanels = 6;
  static_assert(kStripPanels * kBlockRows * kPanelColumns <= kAmxStripFloats);
  explicit WidenedOperands(const LinearArgs& args)
      : WidenedWeights<Format>(args), rows_(args.scratch + kAmxStripFloats + kWidenedWeights) {}
  const float* Rows(int64_t row, int64_t rows, int64_t k, int64_t depth, bool is_first) const {
    float* widened = rows_ + row % kBlockRows * kWidenedDepth;
    if (is_first) {
      Format::WidenRows(StoredOperands<Format>::Rows(row, rows, k, depth, true), rows, depth,
                        widened);
    }
    return widened;
  }

 private:
  float* rows_;
};

/// As RunStreamedLinear.
template <typename Format, template <typename> class Operands>
void RunWidenedLinear(const LinearArgs& args) {
  if (args.rows <= kMostTileWidenedRows) {
    RunStreamedLinear<Format>(args);
  } else {
    RunLinear<Format, Operands<Format>>(args);
  }
}

}  // namespace
}  // namespace qeff::cpu
