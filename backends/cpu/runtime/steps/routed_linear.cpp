// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/runtime/packed_formats.h"
#include "backends/cpu/runtime/routed_rows.h"
#include "backends/cpu/runtime/step.h"
#include "backends/cpu/runtime/step_params.h"

namespace qeff::cpu {
namespace {

enum { kX, kStarts, kWeights, kBias, kOut, kOperandCount };

/// Panels of one unit.
int64_t UnitPanels(const RoutedLinearParams& p) {
  return p.epilogue == LinearEpilogue::kGated ? 2 : 1;
}

void Check(StepCheck& check) {
  const auto p = check.params_as<RoutedLinearParams>();
  check.RequireSizes({p.slots, p.experts, p.depth, p.columns});
  check.Require(IsProduct(p.row_format, p.weights), "unknown formats of rows and weights");
  check.Require(p.epilogue == LinearEpilogue::kPlain || p.epilogue == LinearEpilogue::kGated,
                "unknown epilogue");
  check.Require(
      p.activation >= Activation::kNone && static_cast<int32_t>(p.activation) < kActivationCount,
      "unknown activation");
  const int64_t units = PanelCount(p.columns);
  const int64_t panels = Product({p.experts, units, UnitPanels(p)});
  check.Read(kX, Product({p.slots, PackedRowBytes(p.row_format, p.depth) / 4}), 4);
  check.ReadIndices(kStarts, p.experts + 1);
  check.Read(kWeights, Product({panels, PanelBytes(p.weights, p.depth) / 4}), 4);
  check.ReadOptional(kBias, Product({panels, kPanelColumns}), 4);
  check.Write(kOut, Product({p.slots, p.columns}), 4);
  check.Done(units, Product({LinearScratchFloats(p.slots), 4}));
}

void Run(const StepRun& run) {
  const auto p = run.params_as<RoutedLinearParams>();
  const int64_t unit_panels = UnitPanels(p);
  const int64_t expert_panels = PanelCount(p.columns) * unit_panels;
  const int64_t row_bytes = PackedRowBytes(p.row_format, p.depth);
  const int64_t panel_bytes = PanelBytes(p.weights, p.depth);
  for (int64_t expert = 0; expert < p.experts; ++expert) {
    const RoutedRows routed = RowsOfExpert(run.operand<int64_t>(kStarts), expert, p.slots);
    if (routed.count() == 0) continue;
    const float* bias = run.operand<float>(kBias);
    const LinearArgs args = {
        .x = run.operands[kX] + routed.begin * row_bytes,
        .weights = run.operands[kWeights] + expert * expert_panels * panel_bytes,
        .rows = routed.count(),
        .depth = p.depth,
        .columns = p.columns,
        .panel_begin = run.begin * unit_panels,
        .panel_end = run.end * unit_panels,
        .bias = bias == nullptr ? nullptr : bias + expert * expert_panels * kPanelColumns,
        .out = run.operand<float>(kOut) + routed.begin * p.columns,
        .out_stride = p.columns,
        .epilogue = p.epilogue,
        .activation = p.activation,
        .activate = run.kernels.activate,
        .limit = p.limit,
        .up_offset = p.up_offset,
        .scratch = reinterpret_cast<float*>(run.scratch)};
    RunLinear(run.kernels, p.row_format, p.weights, args);
  }
}

}  // namespace

extern constexpr StepDefinition kRoutedLinearStep = {"routed_linear", sizeof(RoutedLinearParams),
                                                     kOperandCount, Check, Run};

}  // namespace qeff::cpu
