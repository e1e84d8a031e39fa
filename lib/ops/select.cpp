// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Where(condition, x, y): x where the condition holds, else y, all broadcast. Clip(x, min, max):
// scalars `min` and `max` may be left out; where min > max, max wins.
#include <cmath>

#include "lib/ops/shape_rules.h"

namespace qeff::ops {
namespace {

Status InferWhere(InferContext& context) {
  QEFF_RETURN_IF_ERROR(context.ExpectDType(0, DType::kBool));
  QEFF_RETURN_IF_ERROR(context.ExpectSameDType(1, 2));
  QEFF_ASSIGN_OR_RETURN(ir::Shape shape,
                        BroadcastShapes(context, context.shape(0), context.shape(1)));
  QEFF_ASSIGN_OR_RETURN(shape, BroadcastShapes(context, shape, context.shape(2)));
  context.SetOutput(0, context.dtype(1), std::move(shape));
  return Status::Ok();
}

Status EvaluateWhere(EvaluateContext& context) {
  const std::vector<int64_t> dims = context.out().dims;
  const auto offsets = [&](size_t input) {
    return Offsets(dims, BroadcastStrides(context.in(input).dims, dims));
  };
  const std::vector<int64_t> condition = offsets(0);
  const std::vector<int64_t> x_offsets = offsets(1);
  const std::vector<int64_t> y_offsets = offsets(2);
  const Tensor& y = context.in(2);
  WithElements(context.in(1), context.out(), [&](const auto& x, auto& z) {
    for (size_t i = 0; i < z.size(); ++i) {
      if (context.in(0).ints[static_cast<size_t>(condition[i])] != 0) {
        z[i] = x[static_cast<size_t>(x_offsets[i])];
      } else if constexpr (std::is_same_v<decltype(x), const std::vector<double>&>) {
        z[i] = y.floats[static_cast<size_t>(y_offsets[i])];
      } else {
        z[i] = y.ints[static_cast<size_t>(y_offsets[i])];
      }
    }
  });
  return Status::Ok();
}

Status InferClip(InferContext& context) {
  for (size_t bound = 1; bound <= 2; ++bound) {
    if (!context.Has(bound)) continue;
    QEFF_RETURN_IF_ERROR(context.ExpectSameDType(0, bound));
    if (SizeProduct(context.shape(bound)) != SymbolicInt(1)) {
      return context.Invalid(
          fmt::format("input {}: expected a scalar, got {}", bound, context.TypeText(bound)));
    }
  }
  context.SetOutput(0, context.dtype(0), context.shape(0));
  return Status::Ok();
}

Status EvaluateClip(EvaluateContext& context) {
  WithElements(context.in(0), context.out(), [&](const auto& x, auto& y) {
    const auto bound = [&](size_t input) {
      if constexpr (std::is_same_v<decltype(x), const std::vector<double>&>) {
        return context.in(input).floats.front();
      } else {
        return context.in(input).ints.front();
      }
    };
    y = x;
    for (auto& element : y) {
      if (context.Has(1) && element < bound(1)) element = bound(1);
      if (context.Has(2) && element > bound(2)) element = bound(2);
    }
  });
  return Status::Ok();
}

}  // namespace

std::vector<OpDefinition> SelectOps() {
  return {{{.domain = "", .op_type = "Where", .min_inputs = 3, .max_inputs = 3},
           InferWhere,
           EvaluateWhere,
           {.moved_inputs = 0b110}},
          {{.domain = "", .op_type = "Clip", .max_inputs = 3}, InferClip, EvaluateClip}};
}

}  // namespace qeff::ops
