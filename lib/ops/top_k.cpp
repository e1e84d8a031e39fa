// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// TopK<axis, largest, sorted>(x, k [1]) -> (values, indices i64): the k largest (smallest) elements
// along `axis`, best first; of equal elements the one that comes first.
#include <algorithm>
#include <numeric>

#include "lib/ops/shape_rules.h"

namespace qeff::ops {
namespace {

Status InferTopK(InferContext& context) {
  QEFF_RETURN_IF_ERROR(context.ExpectDType(1, DType::kI64));
  QEFF_ASSIGN_OR_RETURN(const int64_t axis,
                        NormalizeAxis(context, context.Int("axis"), context.rank(0)));
  ir::Shape shape = context.shape(0);
  ir::Dim& size = shape[static_cast<size_t>(axis)];
  const std::optional<SymbolicInts> count = context.Content(1);
  if (count && count->size() != 1) {
    return context.Invalid("input 1: expected one element, got " + context.TypeText(1));
  }
  const SymbolicInt k = count ? count->front() : SymbolicInt();
  if (k.is_number() && (k.number() < 0 || (size.is_number() && k.number() > size.value()))) {
    return context.Invalid(
        fmt::format("expected at most {} elements, got k = {}", size.ToString(), k.number()));
  }
  size = k.ToDim();
  context.SetOutput(0, context.dtype(0), shape);
  context.SetOutput(1, DType::kI64, shape);
  return Status::Ok();
}

Status EvaluateTopK(EvaluateContext& context) {
  const Tensor& x = context.in(0);
  QEFF_ASSIGN_OR_RETURN(const int64_t axis, NormalizeAxis(context, context.Int("axis"),
                                                          static_cast<int64_t>(x.dims.size())));
  const AxisView view = ViewAxis(x.dims, axis);
  const int64_t count = context.in(1).ints[0];
  const bool takes_largest = context.Int("largest") != 0;
  std::vector<int64_t> order(static_cast<size_t>(view.size));
  std::vector<int64_t> sources(static_cast<size_t>(context.out().element_count()));
  for (int64_t outer = 0; outer < view.outer; ++outer) {
    for (int64_t inner = 0; inner < view.inner; ++inner) {
      const auto element = [&](int64_t i) {
        return x.number((outer * view.size + i) * view.inner + inner);
      };
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
        return takes_largest ? element(a) > element(b) : element(a) < element(b);
      });
      for (int64_t i = 0; i < count; ++i) {
        const int64_t index = order[static_cast<size_t>(i)];
        const auto at = static_cast<size_t>((outer * count + i) * view.inner + inner);
        sources[at] = (outer * view.size + index) * view.inner + inner;
        if (context.output_count() > 1) context.out(1).ints[at] = index;
      }
    }
  }
  Take(x, sources, context.out());
  return Status::Ok();
}

}  // namespace

std::vector<OpDefinition> TopKOps() {
  return {{{.domain = "",
            .op_type = "TopK",
            .min_inputs = 2,
            .max_inputs = 2,
            .min_outputs = 2,
            .max_outputs = 2,
            .attributes = {IntAttribute("axis", -1), IntAttribute("largest", 1),
                           IntAttribute("sorted", 1)}},
           InferTopK,
           EvaluateTopK}};
}

}  // namespace qeff::ops
