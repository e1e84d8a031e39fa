// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// CumSum<exclusive, reverse>(x, axis): running sums. Trilu<upper>(x, k): the upper (lower) triangle
// of each matrix, zero elsewhere; diagonal k is kept. OneHot<axis>(indices, depth, [off, on]).
// Pad<mode>(x, pads, value): constant, reflect or edge.
#include <algorithm>

#include "lib/ops/shape_rules.h"

namespace qeff::ops {
namespace {

Status InferCumSum(InferContext& context) {
  const std::optional<int64_t> axis = context.Number(1);
  if (axis) {
    const Result<int64_t> checked = NormalizeAxis(context, *axis, context.rank(0));
    if (!checked.ok()) return Status(checked.diagnostic());
  }
  context.SetOutput(0, context.dtype(0), context.shape(0));
  return Status::Ok();
}

Status EvaluateCumSum(EvaluateContext& context) {
  const Tensor& x = context.in(0);
  if (context.in(1).ints.size() != 1) {
    return context.Invalid("input 1: expected one integer, got " + context.in(1).TypeText());
  }
  QEFF_ASSIGN_OR_RETURN(const int64_t axis, NormalizeAxis(context, context.in(1).ints[0],
                                                          static_cast<int64_t>(x.dims.size())));
  const bool is_exclusive = context.Int("exclusive") != 0;
  const bool is_reverse = context.Int("reverse") != 0;
  const AxisView view = ViewAxis(x.dims, axis);
  Tensor& y = context.out();
  WithElements(x, y, [&](const auto& from, auto& to) {
    for (int64_t line = 0; line < view.outer * view.inner; ++line) {
      typename std::decay_t<decltype(from)>::value_type sum = 0;
      for (int64_t step = 0; step < view.size; ++step) {
        const int64_t i = is_reverse ? view.size - 1 - step : step;
        const auto at = static_cast<size_t>((line / view.inner * view.size + i) * view.inner +
                                            line % view.inner);
        if (is_exclusive) to[at] = sum;
        sum = WrappingAdd(sum, from[at]);
        if (!is_exclusive) to[at] = sum;
      }
    }
  });
  for (int64_t& element : y.ints) element = WrapToInt(element, y.dtype);
  return Status::Ok();
}

Status InferTrilu(InferContext& context) {
  if (context.rank(0) < 2) {
    return context.Invalid("input 0: expected matrices, got " + context.TypeText(0));
  }
  if (context.Has(1)) QEFF_RETURN_IF_ERROR(context.ExpectDType(1, DType::kI64));
  context.SetOutput(0, context.dtype(0), context.shape(0));
  return Status::Ok();
}

Status EvaluateTrilu(EvaluateContext& context) {
  const Tensor& x = context.in(0);
  if (context.Has(1) && context.in(1).ints.size() != 1) {
    return context.Invalid("input 1: expected one integer, got " + context.in(1).TypeText());
  }
  const int64_t diagonal = context.Has(1) ? context.in(1).ints[0] : 0;
  const bool is_upper = context.Int("upper") != 0;
  const int64_t columns = x.dims.back();
  const int64_t rows = x.dims[x.dims.size() - 2];
  WithElements(x, context.out(), [&](const auto& from, auto& to) {
    for (size_t i = 0; i < from.size(); ++i) {
      const int64_t column = static_cast<int64_t>(i) % columns;
      const int64_t row = static_cast<int64_t>(i) / columns % rows;
      const bool is_kept = is_upper ? column - row >= diagonal : column - row <= diagonal;
      if (is_kept) to[i] = from[i];
    }
  });
  return Status::Ok();
}

Status InferOneHot(InferContext& context) {
  QEFF_RETURN_IF_ERROR(context.ExpectRank(2, 1));
  QEFF_RETURN_IF_ERROR(context.ExpectSize(2, 0, 2));
  QEFF_ASSIGN_OR_RETURN(const int64_t axis,
                        NormalizeAxis(context, context.Int("axis"), context.rank(0) + 1));
  const std::optional<SymbolicInts> depth = context.Content(1);
  ir::Shape shape = context.shape(0);
  shape.insert(shape.begin() + axis,
               depth && depth->size() == 1 ? depth->front().ToDim() : ir::Dim());
  context.SetOutput(0, context.dtype(2), std::move(shape));
  return Status::Ok();
}

/// Indices in [-depth, depth); others light nothing.
Status EvaluateOneHot(EvaluateContext& context) {
  const Tensor& indices = context.in(0);
  Tensor& y = context.out();
  QEFF_ASSIGN_OR_RETURN(const int64_t axis, NormalizeAxis(context, context.Int("axis"),
                                                          static_cast<int64_t>(y.dims.size())));
  const AxisView view = ViewAxis(y.dims, axis);
  WithElements(context.in(2), y, [&](const auto& values, auto& to) {
    for (size_t i = 0; i < to.size(); ++i) {
      const auto at = static_cast<int64_t>(i);
      const int64_t line = at / (view.size * view.inner) * view.inner + at % view.inner;
      double index = indices.number(line);
      if (index < 0) index += static_cast<double>(view.size);
      const int64_t position = at / view.inner % view.size;
      to[i] = values[index == static_cast<double>(position) ? 1 : 0];
    }
  });
  return Status::Ok();
}

Status InferPad(InferContext& context) {
  const std::string& mode = context.String("mode");
  if (mode != "constant" && mode != "reflect" && mode != "edge") {
    return context.Unsupported(fmt::format("attribute 'mode': '{}'", mode));
  }
  QEFF_RETURN_IF_ERROR(context.ExpectDType(1, DType::kI64));
  QEFF_RETURN_IF_ERROR(context.ExpectRank(1, 1));
  QEFF_RETURN_IF_ERROR(context.ExpectSize(1, 0, 2 * context.rank(0)));
  if (context.Has(2)) {
    QEFF_RETURN_IF_ERROR(context.ExpectSameDType(0, 2));
    if (SizeProduct(context.shape(2)) != SymbolicInt(1)) {
      return context.Invalid("input 2: expected a scalar, got " + context.TypeText(2));
    }
  }
  const size_t rank = context.shape(0).size();
  const std::optional<SymbolicInts> pads = context.Content(1);
  ir::Shape shape(rank);
  for (size_t i = 0; pads && i < rank; ++i) {
    for (const SymbolicInt& pad : {(*pads)[i], (*pads)[rank + i]}) {
      constexpr int64_t kMostPadding = int64_t{1} << 31;
      if (pad.is_number() && (pad.number() > kMostPadding || pad.number() < -kMostPadding)) {
        return context.Invalid(fmt::format("a padding of {} elements", pad.number()));
      }
    }
    const SymbolicInt size =
        SymbolicInt::FromDim(context.shape(0)[i]) + (*pads)[i] + (*pads)[rank + i];
    if (size.is_number() && size.number() < 0) {
      return context.Invalid(fmt::format("axis {} of {} is padded to {} elements", i,
                                         context.TypeText(0), size.number()));
    }
    shape[i] = size.ToDim();
  }
  context.SetOutput(0, context.dtype(0), std::move(shape));
  return Status::Ok();
}

/// Where an element at `index` of an axis comes from; -1 if it is padding.
int64_t PadSource(const std::string& mode, int64_t index, int64_t size) {
  if (index >= 0 && index < size) return index;
  if (mode == "constant" || size == 0) return -1;
  if (mode == "edge") return index < 0 ? 0 : size - 1;
  if (size == 1) return 0;
  const int64_t period = 2 * (size - 1);
  const int64_t wrapped = ((index % period) + period) % period;
  return wrapped < size ? wrapped : period - wrapped;
}

Status EvaluatePad(EvaluateContext& context) {
  const Tensor& x = context.in(0);
  Tensor& y = context.out();
  const std::string& mode = context.String("mode");
  const std::vector<int64_t> x_strides = Strides(x.dims);
  const std::vector<int64_t> y_strides = Strides(y.dims);
  WithElements(x, y, [&](const auto& from, auto& to) {
    using Element = typename std::decay_t<decltype(to)>::value_type;
    Element fill = 0;
    if (context.Has(2)) {
      fill = y.is_float() ? static_cast<Element>(context.in(2).floats[0])
                          : static_cast<Element>(context.in(2).ints[0]);
    }
    for (size_t i = 0; i < to.size(); ++i) {
      int64_t source = 0;
      for (size_t axis = 0; source >= 0 && axis < x.dims.size(); ++axis) {
        const int64_t index =
            static_cast<int64_t>(i) / y_strides[axis] % y.dims[axis] - context.in(1).ints[axis];
        const int64_t at = PadSource(mode, index, x.dims[axis]);
        source = at < 0 ? -1 : source + at * x_strides[axis];
      }
      to[i] = source < 0 ? fill : from[static_cast<size_t>(source)];
    }
  });
  return Status::Ok();
}

}  // namespace

std::vector<OpDefinition> AxisOps() {
  return {{{.domain = "",
            .op_type = "CumSum",
            .min_inputs = 2,
            .max_inputs = 2,
            .attributes = {IntAttribute("exclusive", 0), IntAttribute("reverse", 0)}},
           InferCumSum,
           EvaluateCumSum},
          {{.domain = "",
            .op_type = "Trilu",
            .max_inputs = 2,
            .attributes = {IntAttribute("upper", 1)}},
           InferTrilu,
           EvaluateTrilu},
          {{.domain = "",
            .op_type = "OneHot",
            .min_inputs = 3,
            .max_inputs = 3,
            .attributes = {IntAttribute("axis", -1)}},
           InferOneHot,
           EvaluateOneHot},
          {{.domain = "",
            .op_type = "Pad",
            .min_inputs = 2,
            .max_inputs = 3,
            .attributes = {StringAttribute("mode", "constant")}},
           InferPad,
           EvaluatePad}};
}

}  // namespace qeff::ops
