// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Products whose right side is computed, or that raising has left as they are.
#include "backends/cpu/plan/lowering.h"
#include "backends/cpu/plan/strided_params.h"

namespace qeff::cpu {
namespace {

/// The batch dimensions of a matrix operand.
View BatchOf(const View& view) {
  View batch;
  batch.dims.assign(view.dims.begin(), view.dims.end() - 2);
  batch.strides.assign(view.strides.begin(), view.strides.end() - 2);
  return batch;
}

void AddMatMul(GraphLowering& lowering, const ir::Node& node, const View& a, const View& b,
               const View& out) {
  const View batch = BatchOf(out);
  const size_t last = out.dims.size() - 1;
  const MatMulParams params = {.dims = StepDimsOf(batch.dims),
                               .a_strides = StepStridesFor(BatchOf(a), batch.dims),
                               .b_strides = StepStridesFor(BatchOf(b), batch.dims),
                               .out_strides = StepStridesFor(batch, batch.dims),
                               .rows = out.dims[last - 1],
                               .depth = a.dims.back(),
                               .columns = out.dims[last],
                               .a_row_stride = a.strides[a.strides.size() - 2],
                               .a_depth_stride = a.strides.back(),
                               .b_depth_stride = b.strides[b.strides.size() - 2],
                               .b_column_stride = b.strides.back(),
                               .out_row_stride = out.strides[last - 1]};
  lowering.builder().AddStep(
      StepOp::kMatMul, node.name(), params, {Reads(a), Reads(b), Writes(out)},
      {.units = ElementCount(batch) * PanelCount(params.columns),
       .amount = static_cast<double>(ElementCount(out)) * static_cast<double>(params.depth)});
}

/// A vector operand as a matrix with one row or one column.
View AsMatrix(View view, bool as_row) {
  if (view.dims.size() != 1) return view;
  view.dims.insert(as_row ? view.dims.begin() : view.dims.end(), 1);
  view.strides.insert(as_row ? view.strides.begin() : view.strides.end(), 0);
  return view;
}

}  // namespace

Status LowerMatMul(GraphLowering& lowering, const ir::Node& node) {
  const ir::Value* right = node.input(1);
  if (right->is_constant() && right->constant()->dims().size() == 2 &&
      IsFloat(right->constant()->dtype()) && node.input(0)->type().shape &&
      node.input(0)->type().shape->size() >= 2) {
    return LowerProduct(lowering, node, ir::Transposed(right->constant()), nullptr);
  }
  QEFF_ASSIGN_OR_RETURN(View a, lowering.Get(node.input(0)));
  QEFF_ASSIGN_OR_RETURN(View b, lowering.Get(right));
  if (a.dtype != DType::kF32 || b.dtype != DType::kF32) {
    return lowering.Unsupported(
        node, fmt::format("operands {} and {}", DTypeName(a.dtype), DTypeName(b.dtype)));
  }
  QEFF_ASSIGN_OR_RETURN(View out, lowering.NewOutput(node.output()));
  if (b.dims.size() == 1) {
    out.dims.push_back(1);
    out.strides.push_back(1);
  }
  if (a.dims.size() == 1) {
    out.dims.insert(out.dims.end() - 1, 1);
    out.strides.insert(out.strides.end() - 1, 0);
  }
  AddMatMul(lowering, node, AsMatrix(a, true), AsMatrix(b, false), out);
  return Status::Ok();
}

Status LowerGemm(GraphLowering& lowering, const ir::Node& node) {
  const ir::Value* right = node.input(1);
  const ir::Value* bias = node.input(2);
  const bool has_vector_bias =
      bias == nullptr || (bias->is_constant() && bias->constant()->dims().size() == 1);
  if (node.FloatAttribute("alpha", 1) != 1 || (bias && node.FloatAttribute("beta", 1) != 1) ||
      node.IntAttribute("transA", 0) != 0 || !right->is_constant() ||
      !IsFloat(right->constant()->dtype()) || !has_vector_bias) {
    return lowering.Unsupported(
        node, "expected alpha = beta = 1, transA = 0, a constant right side and bias [N]");
  }
  const ir::WeightPtr& weight = right->constant();
  const bool is_transposed = node.IntAttribute("transB", 0) != 0;
  return LowerProduct(lowering, node, is_transposed ? weight : ir::Transposed(weight), bias);
}

}  // namespace qeff::cpu
