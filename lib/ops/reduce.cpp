// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Reductions over axes (attribute or second input; all axes if none is named), and ArgMax, ArgMin
// over one axis. Sums are taken in double; the maximum of nothing is -infinity, as ONNX says.
#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/ops/shape_rules.h"

namespace qeff::ops {
namespace {

/// Axes in rising order; all of them if none is named, none if that is asked for.
Result<std::vector<int64_t>> Axes(const NodeContext& context,
                                  const std::optional<std::vector<int64_t>>& input, int64_t rank) {
  std::vector<int64_t> axes;
  if (input) {
    axes = *input;
  } else if (context.HasAttribute("axes")) {
    axes = context.Ints("axes");
  }
  if (axes.empty() && context.Int("noop_with_empty_axes") == 0) {
    for (int64_t axis = 0; axis < rank; ++axis) axes.push_back(axis);
  }
  QEFF_ASSIGN_OR_RETURN(axes, NormalizeAxes(context, std::move(axes), rank));
  std::sort(axes.begin(), axes.end());
  return axes;
}

Status InferReduce(InferContext& context) {
  if (context.dtype(0) == DType::kBool) {
    return context.Invalid("input 0: expected numbers, got " + context.TypeText(0));
  }
  std::optional<std::vector<int64_t>> input;
  if (context.Has(1)) {
    QEFF_RETURN_IF_ERROR(context.ExpectInteger(1));
    input = context.Numbers(1);
    if (!input) return context.Unsupported("the axes are not known");
  }
  QEFF_ASSIGN_OR_RETURN(const std::vector<int64_t> axes, Axes(context, input, context.rank(0)));
  const bool keeps = context.Int("keepdims") != 0;
  ir::Shape shape;
  for (int64_t axis = 0; axis < context.rank(0); ++axis) {
    if (!std::binary_search(axes.begin(), axes.end(), axis)) {
      shape.push_back(context.shape(0)[static_cast<size_t>(axis)]);
    } else if (keeps) {
      shape.push_back(1);
    }
  }
  context.SetOutput(0, context.dtype(0), std::move(shape));
  return Status::Ok();
}

/// For every element of the input: the element of the output that it goes into.
Result<std::vector<int64_t>> Targets(const EvaluateContext& context) {
  const std::vector<int64_t>& dims = context.in(0).dims;
  std::optional<std::vector<int64_t>> input;
  if (context.Has(1)) input = context.in(1).ints;
  QEFF_ASSIGN_OR_RETURN(const std::vector<int64_t> axes,
                        Axes(context, input, static_cast<int64_t>(dims.size())));
  std::vector<int64_t> kept = dims;
  for (const int64_t axis : axes) kept[static_cast<size_t>(axis)] = 1;
  return Offsets(dims, BroadcastStrides(kept, dims));
}

enum class Reduction { kSum, kMean, kProduct, kMax, kMin, kSumOfSquares, kNorm1, kNorm2 };

template <typename Element>
Element Start(Reduction reduction) {
  using Limits = std::numeric_limits<Element>;
  switch (reduction) {
    case Reduction::kProduct:
      return 1;
    case Reduction::kMax:
      return Limits::has_infinity ? -Limits::infinity() : Limits::lowest();
    case Reduction::kMin:
      return Limits::has_infinity ? Limits::infinity() : Limits::max();
    default:
      return 0;
  }
}

template <typename Element>
Element Combine(Reduction reduction, Element sum, Element x) {
  switch (reduction) {
    case Reduction::kProduct:
      return WrappingMultiply(sum, x);
    case Reduction::kMax:
      return sum != sum || sum > x ? sum : x;  // NaN stays
    case Reduction::kMin:
      return sum != sum || sum < x ? sum : x;
    case Reduction::kSumOfSquares:
    case Reduction::kNorm2:
      return WrappingAdd(sum, WrappingMultiply(x, x));
    case Reduction::kNorm1:
      return WrappingAdd(sum, x < 0 ? WrappingMultiply(x, Element{-1}) : x);
    default:
      return WrappingAdd(sum, x);
  }
}

template <Reduction reduction>
Status EvaluateReduce(EvaluateContext& context) {
  QEFF_ASSIGN_OR_RETURN(const std::vector<int64_t> targets, Targets(context));
  Tensor& y = context.out();
  const double count = y.element_count() == 0 ? 1
                                              : static_cast<double>(targets.size()) /
                                                    static_cast<double>(y.element_count());
  WithElements(context.in(0), y, [&](const auto& x, auto& sums) {
    using Element = typename std::decay_t<decltype(sums)>::value_type;
    std::fill(sums.begin(), sums.end(), Start<Element>(reduction));
    for (size_t i = 0; i < x.size(); ++i) {
      Element& sum = sums[static_cast<size_t>(targets[i])];
      sum = Combine(reduction, sum, x[i]);
    }
    for (Element& sum : sums) {
      if (reduction == Reduction::kMean) sum = static_cast<Element>(sum / count);
      if (reduction == Reduction::kNorm2) {
        sum = static_cast<Element>(std::sqrt(static_cast<double>(sum)));
      }
    }
  });
  for (int64_t& sum : y.ints) sum = WrapToInt(sum, y.dtype);
  return Status::Ok();
}

Status InferArg(InferContext& context) {
  QEFF_ASSIGN_OR_RETURN(const int64_t axis,
                        NormalizeAxis(context, context.Int("axis"), context.rank(0)));
  ir::Shape shape = context.shape(0);
  if (context.Int("keepdims") != 0) {
    shape[static_cast<size_t>(axis)] = 1;
  } else {
    shape.erase(shape.begin() + axis);
  }
  context.SetOutput(0, DType::kI64, std::move(shape));
  return Status::Ok();
}

template <bool is_max>
Status EvaluateArg(EvaluateContext& context) {
  const Tensor& x = context.in(0);
  QEFF_ASSIGN_OR_RETURN(const int64_t axis, NormalizeAxis(context, context.Int("axis"),
                                                          static_cast<int64_t>(x.dims.size())));
  const bool takes_last = context.Int("select_last_index") != 0;
  const AxisView view = ViewAxis(x.dims, axis);
  if (view.size == 0) return context.Invalid("axis of size 0");
  for (int64_t outer = 0; outer < view.outer; ++outer) {
    for (int64_t inner = 0; inner < view.inner; ++inner) {
      const auto element = [&](int64_t i) {
        return x.number((outer * view.size + i) * view.inner + inner);
      };
      int64_t best = 0;
      for (int64_t i = 1; i < view.size; ++i) {
        const bool is_better = is_max ? element(i) > element(best) : element(i) < element(best);
        if (is_better || (takes_last && element(i) == element(best))) best = i;
      }
      context.out().ints[static_cast<size_t>(outer * view.inner + inner)] = best;
    }
  }
  return Status::Ok();
}

OpDefinition Reduce(std::string_view name, Status (*evaluate)(EvaluateContext&)) {
  return {{.domain = "",
           .op_type = name,
           .max_inputs = 2,
           .attributes = {OptionalAttribute("axes", AttributeKind::kInts),
                          IntAttribute("keepdims", 1), IntAttribute("noop_with_empty_axes", 0)}},
          InferReduce,
          evaluate};
}

OpDefinition Arg(std::string_view name, Status (*evaluate)(EvaluateContext&)) {
  return {{.domain = "",
           .op_type = name,
           .attributes = {IntAttribute("axis", 0), IntAttribute("keepdims", 1),
                          IntAttribute("select_last_index", 0)}},
          InferArg,
          evaluate};
}

}  // namespace

std::vector<OpDefinition> ReduceOps() {
  return {
      Reduce("ReduceSum", EvaluateReduce<Reduction::kSum>),
      Reduce("ReduceMean", EvaluateReduce<Reduction::kMean>),
      Reduce("ReduceProd", EvaluateReduce<Reduction::kProduct>),
      Reduce("ReduceMax", EvaluateReduce<Reduction::kMax>),
      Reduce("ReduceMin", EvaluateReduce<Reduction::kMin>),
      Reduce("ReduceSumSquare", EvaluateReduce<Reduction::kSumOfSquares>),
      Reduce("ReduceL1", EvaluateReduce<Reduction::kNorm1>),
      Reduce("ReduceL2", EvaluateReduce<Reduction::kNorm2>),
      Arg("ArgMax", EvaluateArg<true>),
      Arg("ArgMin", EvaluateArg<false>),
  };
}

}  // namespace qeff::ops
