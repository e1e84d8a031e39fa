// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
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
  check.Require(p.weights == WeightFormat::kF32 || p.weights == WeightFormat::kBf16,
                "unknown weight format");
  check.Require(p.row_format == RowFormat::kF32 ||
                    (p.row_format == RowFormat::kBf16 && p.weights == WeightFormat::kBf16),
                "unknown row format");
  check.Require(p.epilogue == LinearEpilogue::kPlain || p.epilogue == LinearEpilogue::kGated,
                "unknown epilogue");
  check.Require(
      p.activation >= Activation::kNone && static_cast<int32_t>(p.activation) < kActivationCount,
      "unknown activation");
  const int64_t units = PanelCount(p.columns);
  const int64_t panels = Product({p.experts, units, UnitPanels(p)});
  const bool halves = p.weights == WeightFormat::kBf16;
  const bool half_rows = p.row_format == RowFormat::kBf16;
  check.Read(kX, Product({p.slots, half_rows ? Bf16RowDepth(p.depth) : p.depth}),
             half_rows ? 2 : 4);
  check.Read(kStarts, p.experts + 1, 8);
  check.Read(kWeights, Product({panels, kPanelColumns, halves ? RoundUpToEven(p.depth) : p.depth}),
             halves ? 2 : 4);
  check.ReadOptional(kBias, Product({panels, kPanelColumns}), 4);
  check.Write(kOut, Product({p.slots, p.columns}), 4);
  check.Done(units, Product({LinearScratchFloats(p.slots), 4}));
}

void Run(const StepRun& run) {
  const auto p = run.params_as<RoutedLinearParams>();
  const int64_t unit_panels = UnitPanels(p);
  const int64_t expert_panels = PanelCount(p.columns) * unit_panels;
  const bool halves = p.weights == WeightFormat::kBf16;
  const bool half_rows = p.row_format == RowFormat::kBf16;
  const int64_t row_bytes = half_rows ? Bf16RowDepth(p.depth) * 2 : p.depth * 4;
  const int64_t panel_bytes = kPanelColumns * (halves ? RoundUpToEven(p.depth) * 2 : p.depth * 4);
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
    if (half_rows) {
      run.kernels.linear_bf16_dot(args);
    } else if (halves) {
      run.kernels.linear_bf16(args);
    } else {
      run.kernels.linear_f32(args);
    }
  }
}

}  // namespace

extern constexpr StepDefinition kRoutedLinearStep = {"routed_linear", sizeof(RoutedLinearParams),
                                                     kOperandCount, Check, Run};

}  // namespace qeff::cpu
