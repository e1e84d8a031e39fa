// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>

#include "backends/cpu/runtime/packed_formats.h"
#include "backends/cpu/runtime/step.h"
#include "backends/cpu/runtime/step_params.h"

namespace qeff::cpu {
namespace {

enum { kX, kWeights, kBias, kResidual, kOut, kPacked, kOperandCount };

int64_t UnitPanels(const LinearParams& p) { return p.epilogue == LinearEpilogue::kGated ? 2 : 1; }

void CheckPacked(StepCheck& check, const LinearParams& p) {
  check.Require(
      p.packed_format > RowFormat::kF32 && static_cast<int32_t>(p.packed_format) < kRowFormatCount,
      "rows that no product packs");
  check.Require(check.has(kOut) || p.packed_format == RowFormat::kBf16,
                "no place for a result that is not packed");
  check.Require(!check.has(kResidual), "a product with a residual does not pack");
  check.Write(kPacked, Product({p.rows, PackedRowBytes(p.packed_format, p.columns) / 4}), 4);
}

/// Threads write their own columns of each row, while others still read rows and bias: those must
/// lie apart. Of a residual each reads what it writes next, so it may be the result itself.
void CheckOperands(StepCheck& check, const LinearParams& p, int64_t panels) {
  const std::vector<Access>& accesses = check.accesses();
  const auto is_written = [&](const Access& place) {
    return std::ranges::any_of(
        accesses, [&](const Access& other) { return other.is_written && Overlap(place, other); });
  };
  if (check.has(kPacked)) CheckPacked(check, p);
  if (check.has(kOut)) check.Write(kOut, StridedExtent(p.rows, p.out_stride, p.columns), 4);
  const size_t written = accesses.size();
  check.Read(kX, Product({p.rows, PackedRowBytes(p.row_format, p.depth) / 4}), 4);
  check.Read(kWeights, Product({panels, PanelBytes(p.weights, p.depth) / 4}), 4);
  check.ReadOptional(kBias, panels * kPanelColumns, 4);
  for (size_t i = written; i < accesses.size(); ++i) {
    check.Require(!is_written(accesses[i]), "the result would be written over what it is made of");
  }
  const size_t read = accesses.size();
  check.ReadOptional(kResidual, StridedExtent(p.rows, p.residual_stride, p.columns), 4);
  if (accesses.size() == read || !is_written(accesses.back())) return;
  const bool is_result = accesses.back().begin == accesses[written - 1].begin &&
                         (p.rows == 1 || p.residual_stride == p.out_stride);
  check.Require(is_result, "the result would be written over a residual that lies elsewhere");
}

void Check(StepCheck& check) {
  const auto p = check.params_as<LinearParams>();
  check.RequireSizes({p.rows, p.depth, p.columns, p.out_stride, p.residual_stride});
  check.Require(IsProduct(p.row_format, p.weights), "unknown formats of rows and weights");
  check.Require(p.epilogue == LinearEpilogue::kPlain || p.epilogue == LinearEpilogue::kGated ||
                    p.epilogue == LinearEpilogue::kActivated,
                "unknown epilogue");
  check.Require(
      p.activation >= Activation::kNone && static_cast<int32_t>(p.activation) < kActivationCount,
      "unknown activation");
  check.Require(!check.has(kOut) || p.columns <= p.out_stride || p.rows <= 1,
                "rows of the result overlap");
  check.Require(check.has(kOut) || check.has(kPacked), "no place for the result");
  const int64_t units = PanelCount(p.columns);
  CheckOperands(check, p, units * UnitPanels(p));
  check.Done(units, Product({LinearScratchFloats(p.rows), 4}));
}

void Run(const StepRun& run) {
  const auto p = run.params_as<LinearParams>();
  const int64_t panels = UnitPanels(p);
  if (p.rows == 0) return;
  const bool packs =
      run.operands[kPacked] != nullptr && HasBf16Rows(run.kernels, p.packed_format, p.rows);
  const LinearArgs args = {.x = run.operands[kX],
                           .weights = run.operands[kWeights],
                           .rows = p.rows,
                           .depth = p.depth,
                           .columns = p.columns,
                           .panel_begin = run.begin * panels,
                           .panel_end = run.end * panels,
                           .bias = run.operand<float>(kBias),
                           .residual = run.operand<float>(kResidual),
                           .residual_stride = p.residual_stride,
                           .out = run.operand<float>(packs ? kPacked : kOut),
                           .out_stride = p.out_stride,
                           .packs_out = packs,
                           .epilogue = p.epilogue,
                           .activation = p.activation,
                           .activate = run.kernels.activate,
                           .scratch = reinterpret_cast<float*>(run.scratch),
                           .starts = run.starts};
  RunLinear(run.kernels, p.row_format, p.weights, args);
}

int64_t UnitsOf(const LinearParams& p) { return PanelCount(p.columns); }

/// With few rows weights are only read, and those of a large product so long that another process
/// gets in between. With many rows a thread gains from having panels for itself.
UnitsTaken TakenAtATime(const std::byte* params) {
  constexpr int64_t kMostRows = 4;                   // streamed (linear_stream_body.h)
  constexpr int64_t kMostRoundedRows = 32;           // also by tiles (linear_amx_stream_body.h)
  constexpr int64_t kLeastBytes = int64_t{1} << 19;  // smaller ones pay for stopping to read ahead
  constexpr int64_t kLeastPanels = 4;                // that meet a tile of rows (linear_body.h)
  LinearParams p;
  std::memcpy(&p, params, sizeof(p));
  // Others split their f32 rows again for each share.
  const int64_t most_rows = p.row_format == RowFormat::kF32 ? kMostRows : kMostRoundedRows;
  if (p.rows > most_rows || p.depth == 0) return {};
  const int64_t panel_bytes = PanelBytes(p.weights, p.depth);
  const int64_t panels = std::max((kLeastBytes + panel_bytes - 1) / panel_bytes, kLeastPanels);
  return {.least = (panels + UnitPanels(p) - 1) / UnitPanels(p), .most = UnitsOf(p)};
}

}  // namespace

extern constexpr StepDefinition kLinearStep = {.name = "linear",
                                               .params_bytes = sizeof(LinearParams),
                                               .operand_count = kOperandCount,
                                               .check = Check,
                                               .run = Run,
                                               .row_limit = LimitOfRows<LinearParams, UnitsOf>(),
                                               .units_taken = TakenAtATime};

}  // namespace qeff::cpu
