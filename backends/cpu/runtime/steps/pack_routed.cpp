// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>

#include "backends/cpu/runtime/packed_formats.h"
#include "backends/cpu/runtime/routed_rows.h"
#include "backends/cpu/runtime/step.h"
#include "backends/cpu/runtime/step_params.h"

namespace qeff::cpu {
namespace {

enum { kX, kStarts, kOrder, kWeights, kOut, kOperandCount };

void Check(StepCheck& check) {
  const auto p = check.params_as<PackRoutedParams>();
  check.RequireSizes({p.rows, p.choices, p.slots, p.experts, p.depth, p.x_stride});
  check.Require(p.format >= RowFormat::kF32 && static_cast<int32_t>(p.format) < kRowFormatCount,
                "unknown row format");
  const bool is_gathered = check.has(kOrder);
  check.Require(Product({p.rows, is_gathered ? p.choices : 1}) == p.slots, "rows do not fit slots");
  check.Require(!check.has(kWeights) || is_gathered, "weights without order");
  check.Read(kX, StridedExtent(p.rows, p.x_stride, p.depth), 4);
  check.ReadIndices(kStarts, p.experts + 1);
  check.ReadOptionalIndices(kOrder, p.slots);
  check.ReadOptional(kWeights, p.slots, 4);
  check.Write(kOut, Product({p.slots, PackedRowBytes(p.format, p.depth) / 4}), 4);
  check.Done(p.experts, is_gathered ? Product({kTileRows, p.depth, 4}) : 0);
}

/// Copies the rows of places [begin, begin + count) to `out`, dense.
void Gather(const StepRun& run, const PackRoutedParams& p, int64_t begin, int64_t count,
            float* out) {
  const float* weights = run.operand<float>(kWeights);
  for (int64_t i = 0; i < count; ++i, out += p.depth) {
    const int64_t slot = RoutedIndex(run.operand<int64_t>(kOrder)[begin + i], p.slots);
    const float* x = run.operand<float>(kX) + slot / p.choices * p.x_stride;
    if (weights == nullptr) {
      std::memcpy(out, x, static_cast<size_t>(p.depth) * 4);
    } else {
      for (int64_t k = 0; k < p.depth; ++k) out[k] = x[k] * weights[slot];
    }
  }
}

void Run(const StepRun& run) {
  const auto p = run.params_as<PackRoutedParams>();
  const int64_t row_bytes = PackedRowBytes(p.format, p.depth);
  for (int64_t expert = run.begin; expert < run.end; ++expert) {
    const RoutedRows routed = RowsOfExpert(run.operand<int64_t>(kStarts), expert, p.slots);
    for (int64_t first = routed.begin; first < routed.end; first += kTileRows) {
      const int64_t rows = std::min(kTileRows, routed.end - first);
      const float* x = run.operand<float>(kX) + first * p.x_stride;
      int64_t x_stride = p.x_stride;
      if (run.operands[kOrder] != nullptr) {
        auto* gathered = reinterpret_cast<float*>(run.scratch);
        Gather(run, p, first, rows, gathered);
        x = gathered;
        x_stride = p.depth;
      }
      PackTile(run.kernels, p.format,
               {.x = x,
                .x_stride = x_stride,
                .row_begin = first - routed.begin,
                .rows = rows,
                .total_rows = routed.count(),
                .depth = p.depth,
                .out = run.operands[kOut] + routed.begin * row_bytes});
    }
  }
}

}  // namespace

extern constexpr StepDefinition kPackRoutedStep = {"pack_routed", sizeof(PackRoutedParams),
                                                   kOperandCount, Check, Run};

}  // namespace qeff::cpu
