// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Lookups by index.
#include <algorithm>

#include "backends/cpu/plan/lowering.h"

namespace qeff::cpu {
namespace {

/// Rows of a matrix: token embeddings, rotary tables. A table that is also the weight of a Linear
/// (a tied head) is read from that weight's panels, so that it is stored once.
Result<View> TableView(GraphLowering& lowering, const ir::Value* data, TableLayout* layout) {
  *layout = TableLayout::kF32;
  if (data->is_constant()) {
    if (const ConstantPlace* place = lowering.constants().FindPanels(data->constant())) {
      *layout = PanelTable(place->format);
      return lowering.ConstantView(*place, DType::kF32,
                                   {static_cast<int64_t>(place->size_bytes) / 4});
    }
  }
  return lowering.GetDense(data);
}

bool IsTableLookup(const ir::Node& node, const std::vector<int64_t>& dims) {
  return node.IntAttribute("axis", 0) == 0 && !dims.empty() &&
         IsFloat(node.input(0)->type().dtype.value_or(DType::kI64));
}

Status LowerTableLookup(GraphLowering& lowering, const ir::Node& node,
                        const std::vector<int64_t>& dims, const View& indices) {
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

/// Indices as dense i64.
Result<View> GetIndices(GraphLowering& lowering, const ir::Value* value) {
  QEFF_ASSIGN_OR_RETURN(const View view, lowering.GetDense(value));
  if (view.dtype == DType::kI64) return view;
  View wide = lowering.builder().NewDense(DType::kI64, view.dims);
  lowering.AddCopy(view, wide, value->name());
  return wide;
}

int64_t ProductOf(const std::vector<int64_t>& dims, size_t begin, size_t end) {
  int64_t product = 1;
  for (size_t i = begin; i < end; ++i) product *= dims[i];
  return product;
}

/// Parameters for whole blocks along one axis.
IndexBlocksParams AxisBlocks(const View& data, size_t axis, int64_t index_count) {
  const int64_t inner = ProductOf(data.dims, axis + 1, data.dims.size());
  IndexBlocksParams params = {.units = ProductOf(data.dims, 0, axis) * index_count,
                              .tuple = 1,
                              .block = inner,
                              .tuple_count = std::max<int64_t>(1, index_count),
                              .outer_period = std::max<int64_t>(1, index_count),
                              .outer_stride = data.dims[axis] * inner,
                              .element_bytes = ElementBytes(data.dtype)};
  params.sizes[0] = data.dims[axis];
  params.strides[0] = inner;
  return params;
}

/// Parameters for GatherND and ScatterND: the last dimension of `indices` is the tuple.
std::optional<IndexBlocksParams> TupleBlocks(const View& data, const View& indices,
                                             int64_t batch_dims) {
  const auto batch = static_cast<size_t>(batch_dims);
  if (indices.dims.empty()) return std::nullopt;
  const int64_t tuple = indices.dims.back();
  if (tuple < 1 || tuple > kMaxIndexTuple ||
      batch + static_cast<size_t>(tuple) > data.dims.size()) {
    return std::nullopt;
  }
  const size_t last = batch + static_cast<size_t>(tuple);
  const int64_t units = ElementCount(indices) / tuple;
  const int64_t batches = ProductOf(data.dims, 0, batch);
  IndexBlocksParams params = {
      .units = units,
      .tuple = tuple,
      .block = ProductOf(data.dims, last, data.dims.size()),
      .tuple_count = std::max<int64_t>(1, units),
      .outer_period = std::max<int64_t>(1, batches == 0 ? 1 : units / batches),
      .outer_stride = ProductOf(data.dims, batch, data.dims.size()),
      .element_bytes = ElementBytes(data.dtype)};
  for (size_t i = 0; i < static_cast<size_t>(tuple); ++i) {
    params.sizes[i] = data.dims[batch + i];
    params.strides[i] = ProductOf(data.dims, batch + i + 1, data.dims.size());
  }
  return params;
}

void AddIndexStep(GraphLowering& lowering, StepOp op, const ir::Node& node,
                  const IndexBlocksParams& params, const View& from, const View& indices,
                  const View& to) {
  // Several updates of one place must happen in order: a scatter is not divided.
  const double amount =
      op == StepOp::kScatterBlocks ? 0 : static_cast<double>(params.units * params.block);
  lowering.builder().AddStep(op, node.name(), params, {Reads(from), Reads(indices), Writes(to)},
                             {.units = params.units, .amount = amount});
}

}  // namespace

Status LowerGather(GraphLowering& lowering, const ir::Node& node) {
  QEFF_ASSIGN_OR_RETURN(const std::vector<int64_t> dims, DimsOf(*node.input(0)));
  QEFF_ASSIGN_OR_RETURN(const View indices, GetIndices(lowering, node.input(1)));
  if (IsTableLookup(node, dims)) return LowerTableLookup(lowering, node, dims, indices);
  QEFF_ASSIGN_OR_RETURN(const View data, lowering.GetDense(node.input(0)));
  const int64_t given = node.IntAttribute("axis", 0);
  const auto axis =
      static_cast<size_t>(given < 0 ? given + static_cast<int64_t>(dims.size()) : given);
  if (axis >= dims.size()) return lowering.Unsupported(node, "the axis is out of range");
  QEFF_ASSIGN_OR_RETURN(const View out, lowering.NewOutput(node.output()));
  AddIndexStep(lowering, StepOp::kGatherBlocks, node, AxisBlocks(data, axis, ElementCount(indices)),
               data, indices, out);
  return Status::Ok();
}

Status LowerGatherND(GraphLowering& lowering, const ir::Node& node) {
  QEFF_ASSIGN_OR_RETURN(const View data, lowering.GetDense(node.input(0)));
  QEFF_ASSIGN_OR_RETURN(const View indices, GetIndices(lowering, node.input(1)));
  const auto params = TupleBlocks(data, indices, node.IntAttribute("batch_dims", 0));
  if (!params) return lowering.Unsupported(node, "expected tuples of 1 to 4 indices");
  QEFF_ASSIGN_OR_RETURN(const View out, lowering.NewOutput(node.output()));
  AddIndexStep(lowering, StepOp::kGatherBlocks, node, *params, data, indices, out);
  return Status::Ok();
}

Status LowerScatterND(GraphLowering& lowering, const ir::Node& node) {
  QEFF_ASSIGN_OR_RETURN(const View data, lowering.Get(node.input(0)));
  QEFF_ASSIGN_OR_RETURN(const View indices, GetIndices(lowering, node.input(1)));
  QEFF_ASSIGN_OR_RETURN(const View updates, lowering.GetDense(node.input(2)));
  const auto params = TupleBlocks(data, indices, 0);
  if (!params || node.StringAttribute("reduction", "none") != "none") {
    return lowering.Unsupported(node, "expected tuples of 1 to 4 indices and no reduction");
  }
  QEFF_ASSIGN_OR_RETURN(const View out, lowering.NewOutput(node.output()));
  lowering.AddCopy(data, out, node.name());
  AddIndexStep(lowering, StepOp::kScatterBlocks, node, *params, updates, indices, out);
  return Status::Ok();
}

Status LowerGatherElements(GraphLowering& lowering, const ir::Node& node) {
  QEFF_ASSIGN_OR_RETURN(const View data, lowering.GetDense(node.input(0)));
  QEFF_ASSIGN_OR_RETURN(const View indices, GetIndices(lowering, node.input(1)));
  const int64_t given = node.IntAttribute("axis", 0);
  const auto axis =
      static_cast<size_t>(given < 0 ? given + static_cast<int64_t>(data.dims.size()) : given);
  bool same = axis < data.dims.size() && indices.dims.size() == data.dims.size();
  for (size_t i = 0; same && i < data.dims.size(); ++i) {
    same = i == axis || indices.dims[i] == data.dims[i];
  }
  if (!same) return lowering.Unsupported(node, "expected indices like the data beside the axis");
  const int64_t inner = ProductOf(data.dims, axis + 1, data.dims.size());
  IndexBlocksParams params = {.units = ElementCount(indices),
                              .tuple = 1,
                              .block = 1,
                              .tuple_count = std::max<int64_t>(1, ElementCount(indices)),
                              .outer_period = std::max<int64_t>(1, indices.dims[axis] * inner),
                              .outer_stride = data.dims[axis] * inner,
                              .inner_period = std::max<int64_t>(1, inner),
                              .element_bytes = ElementBytes(data.dtype)};
  params.sizes[0] = data.dims[axis];
  params.strides[0] = inner;
  QEFF_ASSIGN_OR_RETURN(const View out, lowering.NewOutput(node.output()));
  AddIndexStep(lowering, StepOp::kGatherBlocks, node, params, data, indices, out);
  return Status::Ok();
}

}  // namespace qeff::cpu
