// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/runtime/step.h"
#include "backends/cpu/runtime/step_params.h"
#include "lib/support/float16.h"

namespace qeff::cpu {
namespace {

enum { kIndices, kTable, kOut, kOperandCount };

void Check(StepCheck& check) {
  const auto p = check.params_as<GatherRowsParams>();
  check.RequireSizes({p.rows, p.width, p.table_rows, p.out_stride});
  check.Require(p.layout >= TableLayout::kF32 && static_cast<int32_t>(p.layout) < kTableLayoutCount,
                "unknown table layout");
  check.Require(p.width <= p.out_stride || p.rows <= 1, "rows of the result overlap");
  check.Read(kIndices, p.rows, 8);
  const int64_t panel_columns = PanelCount(p.table_rows) * kPanelColumns;
  if (p.layout == TableLayout::kF32) {
    check.Read(kTable, Product({p.table_rows, p.width}), 4);
  } else if (p.layout == TableLayout::kPanelsF32) {
    check.Read(kTable, Product({panel_columns, p.width}), 4);
  } else {
    check.Read(kTable, Product({panel_columns, RoundUpToEven(p.width)}), 2);
  }
  check.Write(kOut, StridedExtent(p.rows, p.out_stride, p.width), 4);
  check.Done(p.rows);
}

void CopyRow(const GatherRowsParams& p, const std::byte* table, int64_t row, float* out) {
  const int64_t panel = row / kPanelColumns;
  const int64_t column = row % kPanelColumns;
  switch (p.layout) {
    case TableLayout::kF32:
      std::memcpy(out, table + row * p.width * 4, static_cast<size_t>(p.width) * 4);
      break;
    case TableLayout::kPanelsF32: {
      const auto* from =
          reinterpret_cast<const float*>(table) + panel * p.width * kPanelColumns + column;
      for (int64_t k = 0; k < p.width; ++k) out[k] = from[k * kPanelColumns];
      break;
    }
    case TableLayout::kPanelsBf16: {
      const auto* from = reinterpret_cast<const uint16_t*>(table) +
                         panel * RoundUpToEven(p.width) * kPanelColumns + 2 * column;
      for (int64_t k = 0; k < p.width; ++k) {
        out[k] = Bf16ToF32(from[k / 2 * 2 * kPanelColumns + k % 2]);
      }
      break;
    }
  }
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
                                                   kOperandCount, Check, Run};

}  // namespace qeff::cpu
