// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Ops along axes: reductions, softmax, the place of the largest, running sums.
#include <algorithm>

#include "backends/cpu/plan/lowering.h"
#include "backends/cpu/plan/strided_params.h"

namespace qeff::cpu {
namespace {

/// A view without the axes in `axes`, or of these only.
struct SplitView {
  View kept;
  View reduced;
};

SplitView SplitAxes(const View& view, const std::vector<bool>& is_reduced) {
  SplitView split;
  for (size_t i = 0; i < view.dims.size(); ++i) {
    View& part = is_reduced[i] ? split.reduced : split.kept;
    part.dims.push_back(view.dims[i]);
    part.strides.push_back(view.strides[i]);
  }
  return split;
}

std::optional<std::vector<bool>> AxesOf(const ir::Node& node, size_t rank, size_t input) {
  std::vector<int64_t> axes = node.IntsAttribute("axes");
  if (node.input(input) != nullptr) {
    const auto given = ir::ConstantInts(node.input(input));
    if (!given) return std::nullopt;
    axes = *given;
  }
  const bool reduces_all = axes.empty() && node.IntAttribute("noop_with_empty_axes", 0) == 0;
  std::vector<bool> is_reduced(rank, reduces_all);
  for (const int64_t axis : axes) {
    const int64_t at = axis < 0 ? axis + static_cast<int64_t>(rank) : axis;
    if (at < 0 || at >= static_cast<int64_t>(rank)) return std::nullopt;
    is_reduced[static_cast<size_t>(at)] = true;
  }
  return is_reduced;
}

bool IsSummable(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kI64 || dtype == DType::kI32;
}

std::optional<ReduceOp> ReduceOpOf(std::string_view op_type) {
  if (op_type == "ReduceSum") return ReduceOp::kSum;
  if (op_type == "ReduceMean") return ReduceOp::kMean;
  if (op_type == "ReduceMax") return ReduceOp::kMax;
  if (op_type == "ReduceMin") return ReduceOp::kMin;
  if (op_type == "ReduceProd") return ReduceOp::kProd;
  return std::nullopt;
}

/// The one axis of an op, as flags. Nothing if it is out of range.
std::optional<std::vector<bool>> OneAxis(int64_t axis, size_t rank) {
  const int64_t at = axis < 0 ? axis + static_cast<int64_t>(rank) : axis;
  if (at < 0 || at >= static_cast<int64_t>(rank)) return std::nullopt;
  std::vector<bool> flags(rank, false);
  flags[static_cast<size_t>(at)] = true;
  return flags;
}

}  // namespace

Status LowerReduce(GraphLowering& lowering, const ir::Node& node) {
  QEFF_ASSIGN_OR_RETURN(View x, lowering.Get(node.input(0)));
  if (HasRepeats(x)) x = lowering.Copied(x, node.name());
  const std::optional<ReduceOp> op = ReduceOpOf(node.op_type());
  const auto axes = AxesOf(node, x.dims.size(), 1);
  if (!op || !axes || !IsSummable(x.dtype)) {
    return lowering.Unsupported(node, fmt::format("operand {}, constant axes", DTypeName(x.dtype)));
  }
  const SplitView split = SplitAxes(x, *axes);
  QEFF_ASSIGN_OR_RETURN(const View out, lowering.NewOutput(node.output()));
  const ReduceParams params = {.dims = StepDimsOf(split.kept.dims),
                               .strides = StepStridesFor(split.kept, split.kept.dims),
                               .reduced = StepDimsOf(split.reduced.dims),
                               .reduced_strides = StepStridesFor(split.reduced, split.reduced.dims),
                               .op = *op,
                               .dtype = static_cast<StoredDType>(x.dtype)};
  lowering.builder().AddStep(
      StepOp::kReduce, node.name(), params, {Reads(x), Writes(out)},
      {.units = ElementCount(split.kept), .amount = static_cast<double>(ElementCount(x))});
  return Status::Ok();
}

Status LowerSoftmax(GraphLowering& lowering, const ir::Node& node) {
  QEFF_ASSIGN_OR_RETURN(const View x, lowering.Get(node.input(0)));
  const auto axis = OneAxis(node.IntAttribute("axis", -1), x.dims.size());
  if (!axis || x.dtype != DType::kF32) {
    return lowering.Unsupported(node, "expected floats and an axis of the operand");
  }
  QEFF_ASSIGN_OR_RETURN(const View out, lowering.NewOutput(node.output()));
  const SplitView from = SplitAxes(x, *axis);
  const SplitView to = SplitAxes(out, *axis);
  const SoftmaxParams params = {.dims = StepDimsOf(from.kept.dims),
                                .x_strides = StepStridesFor(from.kept, from.kept.dims),
                                .out_strides = StepStridesFor(to.kept, to.kept.dims),
                                .length = from.reduced.dims[0],
                                .x_stride = from.reduced.strides[0],
                                .out_stride = to.reduced.strides[0]};
  lowering.builder().AddStep(
      StepOp::kSoftmax, node.name(), params, {Reads(x), Writes(out)},
      {.units = ElementCount(from.kept), .amount = 8.0 * static_cast<double>(ElementCount(x))});
  return Status::Ok();
}

Status LowerArgMax(GraphLowering& lowering, const ir::Node& node) {
  QEFF_ASSIGN_OR_RETURN(const View x, lowering.Get(node.input(0)));
  const auto axis = OneAxis(node.IntAttribute("axis", 0), x.dims.size());
  if (!axis || !IsSummable(x.dtype)) {
    return lowering.Unsupported(node, "expected floats, i64 or i32 and an axis of the operand");
  }
  const SplitView split = SplitAxes(x, *axis);
  if (split.reduced.dims[0] == 0) return lowering.Unsupported(node, "nothing to choose from");
  QEFF_ASSIGN_OR_RETURN(const View out, lowering.NewOutput(node.output()));
  const ArgExtremeParams params = {
      .dims = StepDimsOf(split.kept.dims),
      .strides = StepStridesFor(split.kept, split.kept.dims),
      .length = split.reduced.dims[0],
      .stride = split.reduced.strides[0],
      .wants_smallest = node.op_type() == "ArgMin" ? 1 : 0,
      .wants_last = static_cast<int32_t>(node.IntAttribute("select_last_index", 0)),
      .dtype = static_cast<StoredDType>(x.dtype)};
  lowering.builder().AddStep(
      StepOp::kArgExtreme, node.name(), params, {Reads(x), Writes(out)},
      {.units = ElementCount(split.kept), .amount = static_cast<double>(ElementCount(x))});
  return Status::Ok();
}

Status LowerTopK(GraphLowering& lowering, const ir::Node& node) {
  QEFF_ASSIGN_OR_RETURN(const View x, lowering.Get(node.input(0)));
  const auto axis = OneAxis(node.IntAttribute("axis", -1), x.dims.size());
  const auto count = ir::ConstantInt(node.input(1));
  const bool is_last = axis && axis->back();
  if (!is_last || !count || *count < 0 || *count > x.dims.back() || x.dtype != DType::kF32) {
    return lowering.Unsupported(node, "expected floats, the last axis and a constant number");
  }
  const SplitView split = SplitAxes(x, *axis);
  const auto place = [&](size_t index) -> Result<View> {
    const ir::Value* output = node.output(index);
    if (output != nullptr) return lowering.NewOutput(output);
    std::vector<int64_t> dims = x.dims;
    dims.back() = *count;
    return lowering.builder().NewDense(index == 0 ? DType::kF32 : DType::kI64, dims);
  };
  QEFF_ASSIGN_OR_RETURN(const View values, place(0));
  QEFF_ASSIGN_OR_RETURN(const View indices, place(1));
  const TopKParams params = {.dims = StepDimsOf(split.kept.dims),
                             .strides = StepStridesFor(split.kept, split.kept.dims),
                             .length = split.reduced.dims[0],
                             .stride = split.reduced.strides[0],
                             .count = *count,
                             .wants_smallest = node.IntAttribute("largest", 1) == 0 ? 1 : 0};
  lowering.builder().AddStep(
      StepOp::kTopK, node.name(), params, {Reads(x), Writes(values), Writes(indices)},
      {.units = ElementCount(split.kept), .amount = static_cast<double>(ElementCount(x))});
  return Status::Ok();
}

Status LowerCumSum(GraphLowering& lowering, const ir::Node& node) {
  QEFF_ASSIGN_OR_RETURN(const View x, lowering.GetDense(node.input(0)));
  const auto given = ir::ConstantInt(node.input(1));
  const int64_t rank = static_cast<int64_t>(x.dims.size());
  const int64_t axis = given.value_or(rank) < 0 ? *given + rank : given.value_or(rank);
  if (axis < 0 || axis >= rank || (x.dtype != DType::kF32 && x.dtype != DType::kI64)) {
    return lowering.Unsupported(node, "expected floats or i64 and a constant axis");
  }
  CumulativeSumParams params = {
      .outer = 1,
      .length = x.dims[static_cast<size_t>(axis)],
      .inner = 1,
      .is_exclusive = static_cast<int32_t>(node.IntAttribute("exclusive", 0)),
      .is_reverse = static_cast<int32_t>(node.IntAttribute("reverse", 0)),
      .dtype = static_cast<StoredDType>(x.dtype)};
  for (int64_t i = 0; i < rank; ++i) {
    if (i < axis) params.outer *= x.dims[static_cast<size_t>(i)];
    if (i > axis) params.inner *= x.dims[static_cast<size_t>(i)];
  }
  QEFF_ASSIGN_OR_RETURN(const View out, lowering.NewOutput(node.output()));
  lowering.builder().AddStep(
      StepOp::kCumulativeSum, node.name(), params, {Reads(x), Writes(out)},
      {.units = params.outer, .amount = static_cast<double>(ElementCount(x))});
  return Status::Ok();
}

}  // namespace qeff::cpu
