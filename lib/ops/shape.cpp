// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Shape<start, end>(x) -> i64 [n]: the sizes of axes [start, end) of x, both clamped to the rank.
// Size(x) -> i64 []: the number of elements. Their elements follow from types, symbols included.
#include <algorithm>

#include "lib/ops/shape_rules.h"

namespace qeff::ops {
namespace {

struct AxisRange {
  int64_t begin;
  int64_t end;
};

AxisRange ReadAxes(const NodeContext& context, int64_t rank) {
  const auto clamp = [&](int64_t axis) {
    return std::clamp<int64_t>(axis < 0 ? axis + rank : axis, 0, rank);
  };
  const int64_t begin = clamp(context.Int("start"));
  const int64_t end = context.HasAttribute("end") ? clamp(context.Int("end")) : rank;
  return {begin, std::max(begin, end)};
}

Status InferShape(InferContext& context) {
  const AxisRange axes = ReadAxes(context, context.rank(0));
  SymbolicInts sizes;
  for (int64_t axis = axes.begin; axis < axes.end; ++axis) {
    sizes.push_back(SymbolicInt::FromDim(context.shape(0)[static_cast<size_t>(axis)]));
  }
  context.SetOutput(0, DType::kI64, {axes.end - axes.begin});
  context.SetContent(0, std::move(sizes));
  return Status::Ok();
}

Status EvaluateShape(EvaluateContext& context) {
  const std::vector<int64_t>& dims = context.in(0).dims;
  const AxisRange axes = ReadAxes(context, static_cast<int64_t>(dims.size()));
  context.out().ints.assign(dims.begin() + axes.begin, dims.begin() + axes.end);
  return Status::Ok();
}

Status InferSize(InferContext& context) {
  context.SetOutput(0, DType::kI64, {});
  context.SetContent(0, {SizeProduct(context.shape(0))});
  return Status::Ok();
}

Status EvaluateSize(EvaluateContext& context) {
  context.out().ints[0] = context.in(0).element_count();
  return Status::Ok();
}

}  // namespace

std::vector<OpDefinition> ShapeOps() {
  return {
      {{.domain = "",
        .op_type = "Shape",
        .attributes = {IntAttribute("start", 0), OptionalAttribute("end", AttributeKind::kInt)}},
       InferShape,
       EvaluateShape},
      {{.domain = "", .op_type = "Size"}, InferSize, EvaluateSize}};
}

}  // namespace qeff::ops
