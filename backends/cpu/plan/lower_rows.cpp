// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Normalization, rotary embedding, activations, and the choice of the rows that reach the head.
#include <algorithm>

#include "backends/cpu/plan/activations.h"
#include "backends/cpu/plan/lowering.h"

namespace qeff::cpu {
namespace {

/// True if every reader packs the rows of the value: then the norm can happen there.
bool OnlyFeedsProducts(GraphLowering& lowering, const ir::Value* value) {
  if (lowering.IsGraphOutput(value) || value->uses().empty()) return false;
  return std::all_of(value->uses().begin(), value->uses().end(), [](const ir::Use& use) {
    return use.input_index == 0 && (use.node->IsQeff("Linear") || use.node->IsQeff("GatedMlp"));
  });
}

/// Where the result of `node` goes: over its own input if nobody else reads that.
Result<View> OutputOver(GraphLowering& lowering, const ir::Node& node, const View& x) {
  const ir::Value* input = node.input(0);
  if (x.is_exclusive && input->uses().size() == 1 && !lowering.IsGraphOutput(input) &&
      !lowering.IsGraphOutput(node.output())) {
    lowering.Set(node.output(), x);
    return x;
  }
  return lowering.NewOutput(node.output());
}

Status AddNorm(GraphLowering& lowering, const ir::Node& node, DeferredNorm norm, int64_t groups) {
  if (groups == 1 && OnlyFeedsProducts(lowering, node.output())) {
    lowering.Defer(node.output(), std::move(norm));
    return Status::Ok();
  }
  QEFF_ASSIGN_OR_RETURN(const View out, OutputOver(lowering, node, norm.x));
  const Rows x_rows = RowsOrDie(norm.x);
  const NormParams params = {.rows = x_rows.count,
                             .groups = groups,
                             .group_size = x_rows.width / groups,
                             .x_stride = x_rows.stride,
                             .out_stride = RowsOrDie(out).stride,
                             .norm = norm.kind,
                             .epsilon = norm.epsilon};
  lowering.builder().AddStep(
      StepOp::kNorm, node.name(), params,
      {Reads(norm.x), Reads(norm.gamma), Reads(norm.beta), Writes(out)},
      {.units = x_rows.count, .amount = static_cast<double>(x_rows.count * x_rows.width)});
  return Status::Ok();
}

/// A rotary table with one row for each row of `x`: dimensions of size 1 are repeated.
Result<View> GetTable(GraphLowering& lowering, const ir::Value* value, const View& x) {
  QEFF_ASSIGN_OR_RETURN(View table, lowering.Get(value));
  const size_t rank = x.dims.size();
  for (size_t i = 0; i + 1 < rank && table.dims.size() == rank; ++i) {
    if (table.dims[i] != 1) continue;
    table.dims[i] = x.dims[i];
    table.strides[i] = 0;
  }
  return RowsOf(table) ? table : lowering.Copied(table, value->name());
}

Status AddSelection(GraphLowering& lowering, const ir::Node& node, int64_t keep) {
  QEFF_ASSIGN_OR_RETURN(const View x, lowering.GetRows(node.input(0)));
  QEFF_ASSIGN_OR_RETURN(const View positions, lowering.GetDense(node.input(1)));
  if (x.dims.size() != 3 || positions.dtype != DType::kI64) {
    return lowering.Unsupported(node, "expected hidden [B, T, D] and i64 positions");
  }
  if (keep > x.dims[1]) {
    return lowering.Unsupported(node, fmt::format("{} rows to keep of {} tokens", keep, x.dims[1]));
  }
  QEFF_ASSIGN_OR_RETURN(const View out, lowering.NewOutput(node.output()));
  const SelectRowsParams params = {.batch = x.dims[0],
                                   .tokens = x.dims[1],
                                   .keep = keep,
                                   .width = x.dims[2],
                                   .x_stride = RowsOrDie(x).stride};
  lowering.builder().AddStep(
      StepOp::kSelectRows, node.name(), params, {Reads(x), Reads(positions), Writes(out)},
      {.units = params.batch, .amount = static_cast<double>(params.batch * keep * params.width)});
  return Status::Ok();
}

}  // namespace

Status LowerRmsNorm(GraphLowering& lowering, const ir::Node& node) {
  DeferredNorm norm = {.kind = NormKind::kRms, .epsilon = node.FloatAttribute("epsilon", 1e-6f)};
  QEFF_ASSIGN_OR_RETURN(norm.x, lowering.GetRows(node.input(0)));
  QEFF_ASSIGN_OR_RETURN(norm.gamma, lowering.GetDense(node.input(1)));
  const int64_t groups = node.IntAttribute("num_groups", 1);
  if (groups < 1 || norm.gamma.dims.size() != 1 ||
      RowsOrDie(norm.x).width != groups * norm.gamma.dims[0]) {
    return lowering.Unsupported(node, "expected x [.., num_groups * E] and gamma [E]");
  }
  return AddNorm(lowering, node, std::move(norm), groups);
}

Status LowerLayerNormalization(GraphLowering& lowering, const ir::Node& node) {
  DeferredNorm norm = {.kind = NormKind::kLayer, .epsilon = node.FloatAttribute("epsilon", 1e-5f)};
  QEFF_ASSIGN_OR_RETURN(norm.x, lowering.GetRows(node.input(0)));
  QEFF_ASSIGN_OR_RETURN(norm.gamma, lowering.GetDense(node.input(1)));
  if (node.input(2) != nullptr) {
    QEFF_ASSIGN_OR_RETURN(norm.beta, lowering.GetDense(node.input(2)));
  }
  const int64_t rank = static_cast<int64_t>(norm.x.dims.size());
  const int64_t axis = node.IntAttribute("axis", -1);
  const int64_t width = RowsOrDie(norm.x).width;
  if ((axis != -1 && axis != rank - 1) || ElementCount(norm.gamma) != width ||
      (norm.beta.exists() && ElementCount(norm.beta) != width) || node.outputs().size() > 1) {
    return lowering.Unsupported(node, "expected one result, normalised over the last axis");
  }
  return AddNorm(lowering, node, std::move(norm), 1);
}

Status LowerRope(GraphLowering& lowering, const ir::Node& node) {
  QEFF_ASSIGN_OR_RETURN(const View x, lowering.GetRows(node.input(0)));
  QEFF_ASSIGN_OR_RETURN(const View cos, GetTable(lowering, node.input(1), x));
  QEFF_ASSIGN_OR_RETURN(const View sin, GetTable(lowering, node.input(2), x));
  const Rows x_rows = RowsOrDie(x);
  const Rows table = RowsOrDie(cos);
  const Rows sin_table = RowsOrDie(sin);
  const int64_t heads = node.IntAttribute("num_heads", 0);
  if (heads < 1 || x_rows.width % heads != 0 || table.count != x_rows.count ||
      sin_table.count != table.count || sin_table.stride != table.stride) {
    return lowering.Unsupported(node, "expected x [B, T, heads * E], cos and sin [B, T, R]");
  }
  QEFF_ASSIGN_OR_RETURN(const View out, OutputOver(lowering, node, x));
  const RopeParams params = {
      .rows = x_rows.count,
      .heads = heads,
      .head_size = x_rows.width / heads,
      .rotary = table.width,
      .x_stride = x_rows.stride,
      .out_stride = RowsOrDie(out).stride,
      .table_stride = table.stride,
      .interleaved = static_cast<int32_t>(node.IntAttribute("interleaved", 0))};
  lowering.builder().AddStep(
      StepOp::kRope, node.name(), params, {Reads(x), Reads(cos), Reads(sin), Writes(out)},
      {.units = x_rows.count, .amount = static_cast<double>(x_rows.count * x_rows.width)});
  return Status::Ok();
}

Status LowerActivation(GraphLowering& lowering, const ir::Node& node) {
  const std::string name = node.StringAttribute("kind", "");
  const std::optional<Activation> kind = FindCpuActivation(name);
  if (!kind) return lowering.Unsupported(node, fmt::format("activation '{}'", name));
  QEFF_ASSIGN_OR_RETURN(const View x, lowering.GetDense(node.input(0)));
  QEFF_ASSIGN_OR_RETURN(const View out, lowering.NewOutput(node.output()));
  const ActivateParams params = {.count = ElementCount(x), .kind = *kind};
  lowering.builder().AddStep(StepOp::kActivate, node.name(), params, {Reads(x), Writes(out)},
                             {.units = (params.count + kActivateBlock - 1) / kActivateBlock,
                              .amount = 8.0 * static_cast<double>(params.count)});
  return Status::Ok();
}

Status LowerSelectLastToken(GraphLowering& lowering, const ir::Node& node) {
  return AddSelection(lowering, node, 1);
}

Status LowerSelectTokens(GraphLowering& lowering, const ir::Node& node) {
  QEFF_ASSIGN_OR_RETURN(const std::vector<int64_t> dims, DimsOf(*node.output()));
  if (dims.size() != 3) return lowering.Unsupported(node, "expected a result [B, n, D]");
  return AddSelection(lowering, node, dims[1]);
}

}  // namespace qeff::cpu
