// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/runtime/packed_formats.h"
#include "backends/cpu/runtime/step.h"
#include "backends/cpu/runtime/step_params.h"

namespace qeff::cpu {
namespace {

enum { kIndices, kTable, kOut, kOperandCount };

void Check(StepCheck& check) {
  const auto p = check.params_as<GatherRowsParams>();
  check.RequireSizes({p.rows, p.width, p.table_rows, p.out_stride});
  check.Require(p.layout >= TableLayout::kF32 && static_cast<int32_t>(p.layout) < kTableLayoutCount,
                "unknown table layout");
  check.Require(p.width <= p.out_stride || p.rows <= 1, "rows of the result overlap");
  check.ReadIndices(kIndices, p.rows);
  if (p.layout == TableLayout::kF32) {
    check.Read(kTable, Product({p.table_rows, p.width}), 4);
  } else {
    const int64_t panel_bytes = PanelBytes(FormatOfTable(p.layout), p.width);
    check.Read(kTable, Product({PanelCount(p.table_rows), panel_bytes / 4}), 4);
  }
  check.Write(kOut, StridedExtent(p.rows, p.out_stride, p.width), 4);
  check.Done(p.rows);
}

void CopyRow(const GatherRowsParams& p, const std::byte* table, int64_t row, float* out) {
  if (p.layout == TableLayout::kF32) {
    std::memcpy(out, table + row * p.width * 4, static_cast<size_t>(p.width) * 4);
    return;
  }
  const WeightFormat format = FormatOfTable(p.layout);
  const std::byte* panel = table + row / kPanelColumns * PanelBytes(format, p.width);
  UnpackColumn(format, panel, p.width, row % kPanelColumns, out);
}

void Run(const StepRun& run) {
  const auto p = run.params_as<GatherRowsParams>();
  const int64_t* indices = run.operand<int64_t>(kIndices);
  for (int64_t i = run.begin; i < run.end; ++i) {
    const int64_t index = indices[i];
    const int64_t row = index < 0 ? index + p.table_rows : index;
    if (row < 0 || row >= p.table_rows) {
      run.fault.Report(run.step_index, index, p.table_rows);
      continue;
    }
    CopyRow(p, run.operands[kTable], row, run.operand<float>(kOut) + i * p.out_stride);
  }
}

}  // namespace

extern constexpr StepDefinition kGatherRowsStep = {"gather_rows", sizeof(GatherRowsParams),
                                                   kOperandCount, Check,
                                                   Run,           LimitOfRows<GatherRowsParams>()};

}  // namespace qeff::cpu
