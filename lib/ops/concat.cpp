// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Concat<axis>(x0, x1, ...) and its inverse Split<axis>(x, sizes); Split without sizes cuts into
// equal parts, one per output, the last one shorter if need be.
#include <numeric>

#include "lib/ops/shape_rules.h"

namespace qeff::ops {
namespace {

Status InferConcat(InferContext& context) {
  const int64_t rank = context.rank(0);
  QEFF_ASSIGN_OR_RETURN(const int64_t axis, NormalizeAxis(context, context.Int("axis"), rank));
  ir::Shape shape = context.shape(0);
  SymbolicInt sum(0);
  for (size_t i = 0; i < context.input_count(); ++i) {
    QEFF_RETURN_IF_ERROR(context.ExpectSameDType(0, i));
    QEFF_RETURN_IF_ERROR(context.ExpectRank(i, rank));
    for (int64_t other = 0; other < rank; ++other) {
      const ir::Dim& dim = context.shape(i)[static_cast<size_t>(other)];
      if (other == axis) {
        sum = sum + SymbolicInt::FromDim(dim);
        continue;
      }
      ir::Dim& common = shape[static_cast<size_t>(other)];
      QEFF_RETURN_IF_ERROR(context.ExpectSize(i, other, common));
      if (!common.is_number() && !dim.is_unknown()) common = dim;
    }
  }
  shape[static_cast<size_t>(axis)] = sum.ToDim();
  context.SetOutput(0, context.dtype(0), std::move(shape));
  return Status::Ok();
}

Status EvaluateConcat(EvaluateContext& context) {
  Tensor& y = context.out();
  const auto rank = static_cast<int64_t>(y.dims.size());
  QEFF_ASSIGN_OR_RETURN(const int64_t axis, NormalizeAxis(context, context.Int("axis"), rank));
  const AxisView whole = ViewAxis(y.dims, axis);
  int64_t begin = 0;
  for (size_t input = 0; input < context.input_count(); ++input) {
    const AxisView part = ViewAxis(context.in(input).dims, axis);
    const int64_t run = part.size * part.inner;
    WithElements(context.in(input), y, [&](const auto& from, auto& to) {
      for (int64_t i = 0; i < part.outer; ++i) {
        std::copy_n(from.begin() + i * run, run,
                    to.begin() + (i * whole.size + begin) * whole.inner);
      }
    });
    begin += part.size;
  }
  return Status::Ok();
}

/// One size per output; unknown where they are not known.
Result<SymbolicInts> SplitSizes(const InferContext& context, const ir::Dim& total) {
  const auto parts = static_cast<int64_t>(context.output_count());
  if (context.Has(1) || context.HasAttribute("split")) {
    SymbolicInts sizes(static_cast<size_t>(parts));
    if (context.Has(1)) {
      const std::optional<SymbolicInts> content = context.Content(1);
      if (content) sizes = *content;
    } else {
      sizes.assign(context.Ints("split").begin(), context.Ints("split").end());
    }
    if (static_cast<int64_t>(sizes.size()) != parts) {
      return context.Invalid(fmt::format("expected {} sizes, got {}", parts, sizes.size()));
    }
    SymbolicInt sum(0);
    for (const SymbolicInt& size : sizes) {
      if (size.is_number() && size.number() < 0) {
        return context.Invalid(fmt::format("expected sizes, got {}", size.number()));
      }
      sum = sum + size;
    }
    if (sum.is_number() && total.is_number() && sum.number() != total.value()) {
      return context.Invalid(
          fmt::format("expected sizes that add up to {}, got {}", total.value(), sum.number()));
    }
    return sizes;
  }
  const SymbolicInt size = SymbolicInt::FromDim(total);
  if (!size.is_number()) return SymbolicInts(static_cast<size_t>(parts), size / parts);
  const int64_t each = (size.number() + parts - 1) / parts;
  SymbolicInts sizes(static_cast<size_t>(parts), each);
  sizes.back() = size.number() - each * (parts - 1);
  if (sizes.back().number() < 0) {
    return context.Invalid(fmt::format("cannot cut {} into {} parts", size.number(), parts));
  }
  return sizes;
}

Status InferSplit(InferContext& context) {
  QEFF_ASSIGN_OR_RETURN(const int64_t axis,
                        NormalizeAxis(context, context.Int("axis"), context.rank(0)));
  ir::Shape shape = context.shape(0);
  ir::Dim& dim = shape[static_cast<size_t>(axis)];
  QEFF_ASSIGN_OR_RETURN(const SymbolicInts sizes, SplitSizes(context, dim));
  for (size_t i = 0; i < sizes.size(); ++i) {
    dim = sizes[i].ToDim();
    context.SetOutput(i, context.dtype(0), shape);
  }
  return Status::Ok();
}

Status EvaluateSplit(EvaluateContext& context) {
  const Tensor& x = context.in(0);
  const auto rank = static_cast<int64_t>(x.dims.size());
  QEFF_ASSIGN_OR_RETURN(const int64_t axis, NormalizeAxis(context, context.Int("axis"), rank));
  const AxisView whole = ViewAxis(x.dims, axis);
  int64_t begin = 0;
  for (size_t output = 0; output < context.output_count(); ++output) {
    const AxisView part = ViewAxis(context.out(output).dims, axis);
    const int64_t run = part.size * part.inner;
    WithElements(x, context.out(output), [&](const auto& from, auto& to) {
      for (int64_t i = 0; i < part.outer; ++i) {
        std::copy_n(from.begin() + (i * whole.size + begin) * whole.inner, run,
                    to.begin() + i * run);
      }
    });
    begin += part.size;
  }
  return Status::Ok();
}

}  // namespace

std::vector<OpDefinition> ConcatOps() {
  return {
      {{.domain = "",
        .op_type = "Concat",
        .max_inputs = kVariadic,
        .attributes = {RequiredAttribute("axis", AttributeKind::kInt)}},
       InferConcat,
       EvaluateConcat,
       {.moved_inputs = ~uint32_t{0}}},
      {{.domain = "",
        .op_type = "Split",
        .max_inputs = 2,
        .max_outputs = kVariadic,
        .attributes = {IntAttribute("axis", 0), OptionalAttribute("split", AttributeKind::kInts)}},
       InferSplit,
       EvaluateSplit,
       {.moved_inputs = 0b1}}};
}

}  // namespace qeff::ops
