// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "backends/cpu/runtime/packed_formats.h"
#include "backends/cpu/runtime/step.h"
#include "backends/cpu/runtime/step_params.h"

namespace qeff::cpu {
namespace {

enum { kX, kGamma, kBeta, kOut, kOperandCount };

void Check(StepCheck& check) {
  const auto p = check.params_as<PackRowsParams>();
  check.RequireSizes({p.rows, p.depth, p.x_stride});
  check.Require(p.norm >= NormKind::kNone && static_cast<int32_t>(p.norm) < kNormKindCount,
                "unknown norm");
  check.Require(p.format >= RowFormat::kF32 && static_cast<int32_t>(p.format) < kRowFormatCount,
                "unknown row format");
  check.Read(kX, StridedExtent(p.rows, p.x_stride, p.depth), 4);
  check.ReadOptional(kGamma, p.depth, 4);
  check.ReadOptional(kBeta, p.depth, 4);
  check.Write(kOut, Product({p.rows, PackedRowBytes(p.format, p.depth) / 4}), 4);
  check.Done((p.rows + kTileRows - 1) / kTileRows,
             p.norm == NormKind::kNone ? 0 : Product({kTileRows, p.depth, 4}));
}

void Run(const StepRun& run) {
  const auto p = run.params_as<PackRowsParams>();
  if (p.after_product != 0 && HasBf16Rows(run.kernels, p.format, p.rows)) return;
  for (int64_t tile = run.begin; tile < run.end; ++tile) {
    const int64_t first = tile * kTileRows;
    const int64_t rows = std::min(kTileRows, p.rows - first);
    const float* x = run.operand<float>(kX) + first * p.x_stride;
    int64_t x_stride = p.x_stride;
    if (p.norm != NormKind::kNone) {
      auto* normal = reinterpret_cast<float*>(run.scratch);
      run.kernels.norm({.x = x,
                        .x_stride = x_stride,
                        .out = normal,
                        .out_stride = p.depth,
                        .rows = rows,
                        .groups = 1,
                        .group_size = p.depth,
                        .gamma = run.operand<float>(kGamma),
                        .beta = run.operand<float>(kBeta),
                        .epsilon = p.epsilon,
                        .subtract_mean = p.norm == NormKind::kLayer ? 1 : 0});
      x = normal;
      x_stride = p.depth;
    }
    PackTile(run.kernels, p.format,
             {.x = x,
              .x_stride = x_stride,
              .row_begin = first,
              .rows = rows,
              .total_rows = p.rows,
              .depth = p.depth,
              .out = run.operands[kOut]});
  }
}

int64_t TilesOf(const PackRowsParams& p) { return (p.rows + kTileRows - 1) / kTileRows; }

}  // namespace

extern constexpr StepDefinition kPackRowsStep = {
    "pack_rows",   sizeof(PackRowsParams),
    kOperandCount, Check,
    Run,           LimitOfRows<PackRowsParams, TilesOf>()};

}  // namespace qeff::cpu
