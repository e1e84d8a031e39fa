// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// ScatterElements<axis, reduction>(x, i, u): x, then y[p with position `axis` replaced by i[p]] is
// set to u[p], in row-major order of p. ScatterND<reduction>(x, i, u): y[i[p.., :], c..] = u[p..,
// c..]. With a reduction (add, mul, max, min) the old element and the update are combined.
#include <algorithm>

#include "lib/ops/shape_rules.h"

namespace qeff::ops {
namespace {

Status CheckReduction(const NodeContext& context) {
  const std::string& reduction = context.String("reduction");
  for (const std::string_view known : {"none", "add", "mul", "max", "min"}) {
    if (reduction == known) return Status::Ok();
  }
  return context.Invalid(fmt::format(
      "attribute 'reduction': expected none, add, mul, max or min, got '{}'", reduction));
}

template <typename Element>
void Update(const std::string& reduction, Element update, Element& place) {
  if (reduction == "add") {
    place = WrappingAdd(place, update);
  } else if (reduction == "mul") {
    place = WrappingMultiply(place, update);
  } else if (reduction == "max") {
    place = std::max(place, update);
  } else if (reduction == "min") {
    place = std::min(place, update);
  } else {
    place = update;
  }
}

/// Applies update element i at position targets[i] of a copy of x.
void Scatter(EvaluateContext& context, const std::vector<int64_t>& targets) {
  Tensor& y = context.out();
  WithElements(context.in(0), y, [](const auto& from, auto& to) { to = from; });
  const std::string& reduction = context.String("reduction");
  WithElements(context.in(2), y, [&](const auto& updates, auto& elements) {
    for (size_t i = 0; i < targets.size(); ++i) {
      Update(reduction, updates[i], elements[static_cast<size_t>(targets[i])]);
    }
  });
  for (int64_t& element : y.ints) element = WrapToInt(element, y.dtype);
}

Status InferScatterElements(InferContext& context) {
  QEFF_RETURN_IF_ERROR(CheckReduction(context));
  QEFF_RETURN_IF_ERROR(context.ExpectInteger(1));
  QEFF_RETURN_IF_ERROR(context.ExpectSameDType(0, 2));
  QEFF_RETURN_IF_ERROR(context.ExpectRank(1, context.rank(0)));
  QEFF_RETURN_IF_ERROR(context.ExpectRank(2, context.rank(0)));
  QEFF_ASSIGN_OR_RETURN(const int64_t axis,
                        NormalizeAxis(context, context.Int("axis"), context.rank(0)));
  for (int64_t i = 0; i < context.rank(0); ++i) {
    const ir::Dim& size = context.shape(0)[static_cast<size_t>(i)];
    const ir::Dim& taken = context.shape(1)[static_cast<size_t>(i)];
    QEFF_RETURN_IF_ERROR(context.ExpectSize(2, i, taken));
    if (i != axis && size.is_number() && taken.is_number() && taken.value() > size.value()) {
      return context.Invalid(fmt::format("input 1: expected at most {} on axis {}, got {}",
                                         size.value(), i, context.TypeText(1)));
    }
  }
  context.SetOutput(0, context.dtype(0), context.shape(0));
  return Status::Ok();
}

Status EvaluateScatterElements(EvaluateContext& context) {
  const Tensor& x = context.in(0);
  const Tensor& indices = context.in(1);
  const auto rank = static_cast<int64_t>(x.dims.size());
  QEFF_ASSIGN_OR_RETURN(const int64_t axis, NormalizeAxis(context, context.Int("axis"), rank));
  std::vector<int64_t> strides = Strides(x.dims);
  const int64_t stride = strides[static_cast<size_t>(axis)];
  strides[static_cast<size_t>(axis)] = 0;
  std::vector<int64_t> targets = Offsets(indices.dims, strides);
  for (size_t i = 0; i < targets.size(); ++i) {
    QEFF_ASSIGN_OR_RETURN(const int64_t index, CheckedIndex(context, indices.ints[i],
                                                            x.dims[static_cast<size_t>(axis)]));
    targets[i] += index * stride;
  }
  Scatter(context, targets);
  return Status::Ok();
}

Status InferScatterNd(InferContext& context) {
  QEFF_RETURN_IF_ERROR(CheckReduction(context));
  QEFF_RETURN_IF_ERROR(context.ExpectInteger(1));
  QEFF_RETURN_IF_ERROR(context.ExpectSameDType(0, 2));
  const ir::Shape& indices = context.shape(1);
  if (indices.empty() || !indices.back().is_number()) {
    return context.Unsupported("the depth of indices is not known");
  }
  const int64_t depth = indices.back().value();
  if (depth > context.rank(0)) {
    return context.Invalid(
        fmt::format("indices of depth {} do not fit {}", depth, context.TypeText(0)));
  }
  QEFF_RETURN_IF_ERROR(context.ExpectRank(2, context.rank(1) - 1 + context.rank(0) - depth));
  for (int64_t i = 0; i < context.rank(2); ++i) {
    const int64_t tuples = context.rank(1) - 1;
    const ir::Dim& expected = i < tuples
                                  ? indices[static_cast<size_t>(i)]
                                  : context.shape(0)[static_cast<size_t>(depth + i - tuples)];
    QEFF_RETURN_IF_ERROR(context.ExpectSize(2, i, expected));
  }
  context.SetOutput(0, context.dtype(0), context.shape(0));
  return Status::Ok();
}

Status EvaluateScatterNd(EvaluateContext& context) {
  const Tensor& x = context.in(0);
  const Tensor& indices = context.in(1);
  const int64_t depth = indices.dims.back();
  const std::vector<int64_t> strides = Strides(x.dims);
  const int64_t run = ViewAxes(x.dims, 0, depth).inner;
  const int64_t tuples =
      ViewAxes(indices.dims, 0, static_cast<int64_t>(indices.dims.size()) - 1).size;
  std::vector<int64_t> targets;
  for (int64_t tuple = 0; tuple < tuples; ++tuple) {
    int64_t begin = 0;
    for (int64_t i = 0; i < depth; ++i) {
      const auto axis = static_cast<size_t>(i);
      QEFF_ASSIGN_OR_RETURN(
          const int64_t index,
          CheckedIndex(context, indices.ints[static_cast<size_t>(tuple * depth + i)],
                       x.dims[axis]));
      begin += index * strides[axis];
    }
    for (int64_t inner = 0; inner < run; ++inner) targets.push_back(begin + inner);
  }
  Scatter(context, targets);
  return Status::Ok();
}

}  // namespace

std::vector<OpDefinition> ScatterOps() {
  return {{{.domain = "",
            .op_type = "ScatterElements",
            .min_inputs = 3,
            .max_inputs = 3,
            .attributes = {IntAttribute("axis", 0), StringAttribute("reduction", "none")}},
           InferScatterElements,
           EvaluateScatterElements},
          {{.domain = "",
            .op_type = "ScatterND",
            .min_inputs = 3,
            .max_inputs = 3,
            .attributes = {StringAttribute("reduction", "none")}},
           InferScatterNd,
           EvaluateScatterNd}};
}

}  // namespace qeff::ops
