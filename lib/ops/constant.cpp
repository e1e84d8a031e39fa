// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Values that need no data: Constant<value...>(), ConstantOfShape<value>(dims), Range(start, limit,
// delta) = start + i * delta below `limit` (above, if delta < 0).
#include <cmath>

#include "lib/ops/shape_rules.h"

namespace qeff::ops {
namespace {

// The readers turn Constant nodes into constants of the graph; graphs built by hand may keep them.
Status InferConstant(InferContext& context) {
  if (context.HasAttribute("value")) {
    const ir::Weight& weight = context.Weight("value");
    context.SetOutput(0, weight.dtype(), *weight.type().shape);
  } else if (context.HasAttribute("value_float")) {
    context.SetOutput(0, DType::kF32, {});
  } else if (context.HasAttribute("value_int")) {
    context.SetOutput(0, DType::kI64, {});
  } else if (context.HasAttribute("value_ints")) {
    context.SetOutput(0, DType::kI64, {static_cast<int64_t>(context.Ints("value_ints").size())});
  } else {
    return context.Invalid(
        "expected one of the attributes value, value_float, value_int, "
        "value_ints");
  }
  return Status::Ok();
}

Status EvaluateConstant(EvaluateContext& context) {
  if (context.HasAttribute("value")) {
    QEFF_ASSIGN_OR_RETURN(context.out(), TensorFromWeight(context.Weight("value")));
  } else if (context.HasAttribute("value_float")) {
    context.out().floats[0] = context.Float("value_float");
  } else if (context.HasAttribute("value_int")) {
    context.out().ints[0] = context.Int("value_int");
  } else {
    context.out().ints = context.Ints("value_ints");
  }
  return Status::Ok();
}

/// Dims that an input of integers holds; unknown ones if its elements are not known. Errors: its
/// length must be a number.
Status InferConstantOfShape(InferContext& context) {
  QEFF_RETURN_IF_ERROR(context.ExpectRank(0, 1));
  QEFF_RETURN_IF_ERROR(context.ExpectInteger(0));
  DType dtype = DType::kF32;
  if (context.HasAttribute("value")) {
    dtype = context.Weight("value").dtype();
    if (context.Weight("value").element_count() != 1) {
      return context.Invalid("attribute 'value': expected one element");
    }
  }
  ir::Shape shape;
  if (const std::optional<SymbolicInts> content = context.Content(0)) {
    for (const SymbolicInt& size : *content) {
      if (size.is_number() && size.number() < 0) {
        return context.Invalid(fmt::format("expected sizes, got {}", size.number()));
      }
      shape.push_back(size.ToDim());
    }
  } else if (context.shape(0)[0].is_number() && context.shape(0)[0].value() <= ir::kMaxRank) {
    shape.resize(static_cast<size_t>(context.shape(0)[0].value()));
  } else {
    return context.Unsupported("the rank of the output is not known");
  }
  context.SetOutput(0, dtype, std::move(shape));
  return Status::Ok();
}

Status EvaluateConstantOfShape(EvaluateContext& context) {
  if (!context.HasAttribute("value")) return Status::Ok();
  QEFF_ASSIGN_OR_RETURN(const Tensor value, TensorFromWeight(context.Weight("value")));
  WithElements(value, context.out(),
               [](const auto& from, auto& to) { std::fill(to.begin(), to.end(), from[0]); });
  return Status::Ok();
}

Status InferRange(InferContext& context) {
  SymbolicInt bounds[3];
  for (size_t i = 0; i < 3; ++i) {
    QEFF_RETURN_IF_ERROR(context.ExpectSameDType(0, i));
    // The function bodies of the compiler contract give vectors of one element.
    if (SizeProduct(context.shape(i)) != SymbolicInt(1)) {
      return context.Invalid(
          fmt::format("input {}: expected a scalar, got {}", i, context.TypeText(i)));
    }
    const std::optional<SymbolicInts> content = context.Content(i);
    if (content && content->size() == 1) bounds[i] = content->front();
  }
  const auto& [start, limit, delta] = bounds;
  SymbolicInt count;
  if (delta == SymbolicInt(0)) return context.Invalid("the step is 0");
  if (start.is_number() && limit.is_number() && delta.is_number()) {
    const double steps =
        std::ceil((static_cast<double>(limit.number()) - static_cast<double>(start.number())) /
                  static_cast<double>(delta.number()));
    count = steps <= 0 ? 0 : static_cast<int64_t>(std::fmin(steps, 9e18));
  } else if (delta == SymbolicInt(1)) {
    count = limit - start;
  }
  context.SetOutput(0, context.dtype(0), {count.ToDim()});
  return Status::Ok();
}

Status EvaluateRange(EvaluateContext& context) {
  const Tensor& start = context.in(0);
  const Tensor& delta = context.in(2);
  if (delta.number(0) == 0) return context.Invalid("the step is 0");
  const double steps = std::ceil((context.in(1).number(0) - start.number(0)) / delta.number(0));
  if (!(steps <= static_cast<double>(kMostElements))) {
    return context.Unsupported(fmt::format("a range of {} elements is too large", steps));
  }
  Tensor& y = context.out();
  y = ZeroTensor(y.dtype, {steps <= 0 ? 0 : static_cast<int64_t>(steps)});
  for (size_t i = 0; i < y.floats.size(); ++i) {
    y.floats[i] = start.floats[0] + static_cast<double>(i) * delta.floats[0];
  }
  for (size_t i = 0; i < y.ints.size(); ++i) {
    y.ints[i] =
        WrappingAdd(start.ints[0], WrappingMultiply(static_cast<int64_t>(i), delta.ints[0]));
  }
  return Status::Ok();
}

}  // namespace

std::vector<OpDefinition> ConstantOps() {
  return {{{.domain = "",
            .op_type = "Constant",
            .min_inputs = 0,
            .max_inputs = 0,
            .attributes = {OptionalAttribute("value", AttributeKind::kTensor),
                           OptionalAttribute("value_float", AttributeKind::kFloat),
                           OptionalAttribute("value_int", AttributeKind::kInt),
                           OptionalAttribute("value_ints", AttributeKind::kInts)}},
           InferConstant,
           EvaluateConstant},
          {{.domain = "",
            .op_type = "ConstantOfShape",
            .attributes = {OptionalAttribute("value", AttributeKind::kTensor)}},
           InferConstantOfShape,
           EvaluateConstantOfShape},
          {{.domain = "", .op_type = "Range", .min_inputs = 3, .max_inputs = 3},
           InferRange,
           EvaluateRange,
           {},
           true}};
}

}  // namespace qeff::ops
