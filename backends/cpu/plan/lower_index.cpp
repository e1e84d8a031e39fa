// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Lookups by index.
#include "backends/cpu/plan/lowering.h"

namespace qeff::cpu {
namespace {

/// Rows of a matrix: token embeddings, rotary tables. A table that is also the weight of a Linear
/// (a tied head) is read from that weight's panels, so that it is stored once.
Result<View> TableView(GraphLowering& lowering, const ir::Value* data, TableLayout* layout) {
  *layout = TableLayout::kF32;
  if (data->is_constant()) {
    if (const ConstantPlace* place = lowering.constants().FindPanels(data->constant())) {
      *layout =
          place->format == WeightFormat::kBf16 ? TableLayout::kPanelsBf16 : TableLayout::kPanelsF32;
      return lowering.ConstantView(*place, DType::kF32,
                                   {static_cast<int64_t>(place->size_bytes) / 4});
    }
  }
  return lowering.GetDense(data);
}

}  // namespace

Status LowerGather(GraphLowering& lowering, const ir::Node& node) {
  QEFF_ASSIGN_OR_RETURN(const std::vector<int64_t> dims, DimsOf(*node.input(0)));
  QEFF_ASSIGN_OR_RETURN(const View indices, lowering.GetDense(node.input(1)));
  const int64_t axis = node.IntAttribute("axis", 0);
  if (dims.empty() || axis != 0 || indices.dtype != DType::kI64 ||
      !IsFloat(node.input(0)->type().dtype.value_or(DType::kI64))) {
    return lowering.Unsupported(node, "expected float data, axis 0 and i64 indices");
  }
  GatherRowsParams params = {.rows = ElementCount(indices), .table_rows = dims[0]};
  params.width = 1;
  for (size_t i = 1; i < dims.size(); ++i) params.width *= dims[i];
  params.out_stride = params.width;
  QEFF_ASSIGN_OR_RETURN(const View table, TableView(lowering, node.input(0), &params.layout));
  QEFF_ASSIGN_OR_RETURN(const View out, lowering.NewOutput(node.output()));
  lowering.builder().AddStep(
      StepOp::kGatherRows, node.name(), params, {Reads(indices), Reads(table), Writes(out)},
      {.units = params.rows, .amount = static_cast<double>(params.rows * params.width)});
  return Status::Ok();
}

}  // namespace qeff::cpu
