// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Ops that only rename, reorder or repeat elements: views where possible, copies where not.
#include <algorithm>

#include "backends/cpu/plan/lowering.h"

namespace qeff::cpu {
namespace {

/// Sets the result of `node` to a view of its input; it may be overwritten in place only if nothing
/// else reads the input.
void SetView(GraphLowering& lowering, const ir::Node& node, View view) {
  const ir::Value* input = node.input(0);
  view.is_exclusive =
      view.is_exclusive && input->uses().size() == 1 && !lowering.IsGraphOutput(input);
  lowering.Set(node.output(), std::move(view));
}

int64_t AxisOf(int64_t axis, size_t rank) {
  return axis < 0 ? axis + static_cast<int64_t>(rank) : axis;
}

}  // namespace

Status LowerIdentity(GraphLowering& lowering, const ir::Node& node) {
  QEFF_ASSIGN_OR_RETURN(View view, lowering.Get(node.input(0)));
  SetView(lowering, node, std::move(view));
  return Status::Ok();
}

Status LowerReshape(GraphLowering& lowering, const ir::Node& node) {
  QEFF_ASSIGN_OR_RETURN(const std::vector<int64_t> dims, DimsOf(*node.output()));
  QEFF_ASSIGN_OR_RETURN(const View view, lowering.Get(node.input(0)));
  std::optional<View> reshaped = Reshaped(view, dims);
  if (!reshaped) reshaped = Reshaped(lowering.Copied(view, node.name()), dims);
  SetView(lowering, node, *std::move(reshaped));
  return Status::Ok();
}

Status LowerTranspose(GraphLowering& lowering, const ir::Node& node) {
  QEFF_ASSIGN_OR_RETURN(const View view, lowering.Get(node.input(0)));
  std::vector<int64_t> permutation = node.IntsAttribute("perm");
  const size_t rank = view.dims.size();
  for (size_t i = rank; permutation.size() < rank;) {
    permutation.push_back(static_cast<int64_t>(--i));
  }
  View result = view;
  for (size_t i = 0; i < rank; ++i) {
    result.dims[i] = view.dims[static_cast<size_t>(permutation[i])];
    result.strides[i] = view.strides[static_cast<size_t>(permutation[i])];
  }
  SetView(lowering, node, std::move(result));
  return Status::Ok();
}

Status LowerSlice(GraphLowering& lowering, const ir::Node& node) {
  QEFF_ASSIGN_OR_RETURN(View view, lowering.Get(node.input(0)));
  const auto starts = ir::ConstantInts(node.input(1));
  const auto ends = ir::ConstantInts(node.input(2));
  const auto axes = ir::ConstantInts(node.input(3));
  const auto steps = ir::ConstantInts(node.input(4));
  if (!starts || !ends || (node.input(3) != nullptr && !axes) ||
      (node.input(4) != nullptr && !steps)) {
    return lowering.Unsupported(node, "expected constant starts, ends, axes and steps");
  }
  for (size_t i = 0; i < starts->size(); ++i) {
    const int64_t given = axes ? (*axes)[i] : static_cast<int64_t>(i);
    const auto axis = static_cast<size_t>(AxisOf(given, view.dims.size()));
    const int64_t step = steps ? (*steps)[i] : 1;
    const int64_t size = view.dims[axis];
    if (step <= 0) return lowering.Unsupported(node, "expected positive steps");
    const auto clamp = [size](int64_t at) {
      return std::clamp<int64_t>(at < 0 ? at + size : at, 0, size);
    };
    const int64_t begin = clamp((*starts)[i]);
    const int64_t end = std::max(begin, clamp((*ends)[i]));
    view.offset += begin < size ? begin * view.strides[axis] : 0;
    view.dims[axis] = (end - begin + step - 1) / step;
    view.strides[axis] *= step;
  }
  SetView(lowering, node, std::move(view));
  return Status::Ok();
}

Status LowerSplit(GraphLowering& lowering, const ir::Node& node) {
  QEFF_ASSIGN_OR_RETURN(const View view, lowering.Get(node.input(0)));
  const auto axis = static_cast<size_t>(AxisOf(node.IntAttribute("axis", 0), view.dims.size()));
  int64_t begin = 0;
  for (const ir::Value* output : node.outputs()) {
    QEFF_ASSIGN_OR_RETURN(const std::vector<int64_t> dims, DimsOf(*output));
    View part = view;
    part.offset += begin < view.dims[axis] ? begin * view.strides[axis] : 0;
    part.dims = dims;
    part.is_exclusive = view.is_exclusive && node.input(0)->uses().size() == 1;
    begin += dims[axis];
    lowering.Set(output, std::move(part));
  }
  return Status::Ok();
}

Status LowerExpand(GraphLowering& lowering, const ir::Node& node) {
  QEFF_ASSIGN_OR_RETURN(const std::vector<int64_t> dims, DimsOf(*node.output()));
  QEFF_ASSIGN_OR_RETURN(const View view, lowering.Get(node.input(0)));
  View result = view;
  result.dims = dims;
  result.strides.assign(dims.size(), 0);
  result.is_exclusive = false;
  const size_t added = dims.size() - view.dims.size();
  for (size_t i = 0; i < view.dims.size(); ++i) {
    if (view.dims[i] != 1) result.strides[added + i] = view.strides[i];
  }
  lowering.Set(node.output(), std::move(result));
  return Status::Ok();
}

Status LowerConcat(GraphLowering& lowering, const ir::Node& node) {
  QEFF_ASSIGN_OR_RETURN(const View out, lowering.NewOutput(node.output()));
  const auto axis = static_cast<size_t>(AxisOf(node.IntAttribute("axis", 0), out.dims.size()));
  int64_t begin = 0;
  for (const ir::Value* input : node.inputs()) {
    QEFF_ASSIGN_OR_RETURN(const View part, lowering.Get(input));
    View target = out;
    target.dims = part.dims;
    target.offset += begin * out.strides[axis];
    begin += part.dims[axis];
    if (ElementCount(part) > 0) lowering.AddCopy(part, target, node.name());
  }
  return Status::Ok();
}

}  // namespace qeff::cpu
