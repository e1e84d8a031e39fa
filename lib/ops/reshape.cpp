// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Ops that keep the elements in their order and change the shape: Reshape (0 copies a size unless
// allowzero, -1 takes the rest), Flatten<axis>, Squeeze, Unsqueeze, Identity, and Dropout, which
// outside of training is Identity.
#include <algorithm>

#include "lib/ops/shape_rules.h"

namespace qeff::ops {
namespace {

Status Copy(EvaluateContext& context) {
  WithElements(context.in(0), context.out(), [](const auto& from, auto& to) { to = from; });
  return Status::Ok();
}

/// The size that -1 stands for: elements of x over the product of the other sizes.
Result<ir::Dim> InferRest(const InferContext& context, const SymbolicInts& sizes, size_t rest) {
  const SymbolicInt elements = SizeProduct(context.shape(0));
  SymbolicInt others(1);
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (i != rest) others = others * sizes[i];
  }
  if (!elements.is_number() || !others.is_number()) return (elements / others).ToDim();
  if (others.number() == 0 || elements.number() % others.number() != 0) {
    return context.Invalid(fmt::format("cannot divide the {} elements of {} by {}",
                                       elements.ToString(), context.TypeText(0),
                                       others.ToString()));
  }
  return ir::Dim(elements.number() / others.number());
}

Status InferReshape(InferContext& context) {
  QEFF_RETURN_IF_ERROR(context.ExpectDType(1, DType::kI64));
  QEFF_RETURN_IF_ERROR(context.ExpectRank(1, 1));
  std::optional<SymbolicInts> target = context.Content(1);
  if (!target) {
    const ir::Dim& rank = context.shape(1)[0];
    if (!rank.is_number() || rank.value() > ir::kMaxRank) {
      return context.Unsupported("the rank of the output is not known");
    }
    target = SymbolicInts(static_cast<size_t>(rank.value()));
  }
  std::optional<size_t> rest;
  for (size_t i = 0; i < target->size(); ++i) {
    SymbolicInt& size = (*target)[i];
    if (!size.is_number()) continue;
    if (size.number() == -1) {
      if (rest) return context.Invalid("more than one size is -1");
      rest = i;
    } else if (size.number() < -1) {
      return context.Invalid(fmt::format("expected a size, 0 or -1, got {}", size.number()));
    } else if (size.number() == 0 && context.Int("allowzero") == 0) {
      if (static_cast<int64_t>(i) >= context.rank(0)) {
        return context.Invalid(
            fmt::format("no axis {} to copy the size of in {}", i, context.TypeText(0)));
      }
      size = SymbolicInt::FromDim(context.shape(0)[i]);
    }
  }
  ir::Shape shape;
  for (const SymbolicInt& size : *target) shape.push_back(size.ToDim());
  if (rest) {
    QEFF_ASSIGN_OR_RETURN(shape[*rest], InferRest(context, *target, *rest));
  }
  const SymbolicInt before = SizeProduct(context.shape(0));
  const SymbolicInt after = SizeProduct(shape);
  if (before.is_number() && after.is_number() && before != after) {
    return context.Invalid(
        fmt::format("cannot reshape {} to {}", context.TypeText(0), ir::ShapeToString(shape)));
  }
  context.SetOutput(0, context.dtype(0), std::move(shape));
  return Status::Ok();
}

Status InferFlatten(InferContext& context) {
  const int64_t rank = context.rank(0);
  int64_t axis = context.Int("axis");
  if (axis < -rank || axis > rank) {
    return context.Invalid(fmt::format("axis {} is outside of [{}, {}]", axis, -rank, rank));
  }
  if (axis < 0) axis += rank;
  const std::span<const ir::Dim> dims = context.shape(0);
  context.SetOutput(0, context.dtype(0),
                    {SizeProduct(dims.first(static_cast<size_t>(axis))).ToDim(),
                     SizeProduct(dims.subspan(static_cast<size_t>(axis))).ToDim()});
  return Status::Ok();
}

/// Axes as an input (from opset 13) or, from older files, as an attribute.
std::optional<std::vector<int64_t>> AxesOf(const InferContext& context) {
  if (context.Has(1)) return context.Numbers(1);
  if (context.HasAttribute("axes")) return context.Ints("axes");
  return std::nullopt;
}

Status InferSqueeze(InferContext& context) {
  std::optional<std::vector<int64_t>> axes = AxesOf(context);
  const ir::Shape& shape = context.shape(0);
  if (!axes) {
    if (context.Has(1)) return context.Unsupported("the axes are not known");
    axes.emplace();
    for (size_t i = 0; i < shape.size(); ++i) {
      if (!shape[i].is_number()) {
        return context.Unsupported(
            fmt::format("cannot tell which sizes of {} are 1; name the axes", context.TypeText(0)));
      }
      if (shape[i].value() == 1) axes->push_back(static_cast<int64_t>(i));
    }
  }
  QEFF_ASSIGN_OR_RETURN(const std::vector<int64_t> gone,
                        NormalizeAxes(context, *axes, context.rank(0)));
  ir::Shape kept;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (std::find(gone.begin(), gone.end(), static_cast<int64_t>(i)) == gone.end()) {
      kept.push_back(shape[i]);
    } else {
      QEFF_RETURN_IF_ERROR(context.ExpectSize(0, static_cast<int64_t>(i), 1));
    }
  }
  context.SetOutput(0, context.dtype(0), std::move(kept));
  return Status::Ok();
}

Status InferUnsqueeze(InferContext& context) {
  const std::optional<std::vector<int64_t>> axes = AxesOf(context);
  if (!axes) return context.Unsupported("the axes are not known");
  const int64_t rank = context.rank(0) + static_cast<int64_t>(axes->size());
  QEFF_ASSIGN_OR_RETURN(const std::vector<int64_t> added, NormalizeAxes(context, *axes, rank));
  ir::Shape shape;
  auto next = context.shape(0).begin();
  for (int64_t i = 0; i < rank; ++i) {
    const bool is_new = std::find(added.begin(), added.end(), i) != added.end();
    shape.push_back(is_new ? ir::Dim(1) : *next++);
  }
  context.SetOutput(0, context.dtype(0), std::move(shape));
  return Status::Ok();
}

Status InferIdentity(InferContext& context) {
  context.SetOutput(0, context.dtype(0), context.shape(0));
  return Status::Ok();
}

Status InferDropout(InferContext& context) {
  // Some exporters leave training on with a ratio of 0, which drops nothing.
  const bool is_training = context.Has(2) && context.Number(2) != 0;
  if (is_training && (!context.Has(1) || context.Number(1) != 0)) {
    return context.Unsupported("training", {"export the model for inference"});
  }
  context.SetOutput(1, DType::kBool, context.shape(0));
  return InferIdentity(context);
}

Status EvaluateDropout(EvaluateContext& context) {
  if (context.output_count() > 1) {
    std::fill(context.out(1).ints.begin(), context.out(1).ints.end(), 1);
  }
  return Copy(context);
}

}  // namespace

std::vector<OpDefinition> ReshapeOps() {
  const SymbolicMeaning moves{.moved_inputs = 0b1};
  const AttributeSchema axes = OptionalAttribute("axes", AttributeKind::kInts);
  return {
      {{.domain = "",
        .op_type = "Reshape",
        .min_inputs = 2,
        .max_inputs = 2,
        .attributes = {IntAttribute("allowzero", 0)}},
       InferReshape,
       Copy,
       moves},
      {{.domain = "", .op_type = "Flatten", .attributes = {IntAttribute("axis", 1)}},
       InferFlatten,
       Copy,
       moves},
      {{.domain = "", .op_type = "Squeeze", .max_inputs = 2, .attributes = {axes}},
       InferSqueeze,
       Copy,
       moves},
      {{.domain = "", .op_type = "Unsqueeze", .max_inputs = 2, .attributes = {axes}},
       InferUnsqueeze,
       Copy,
       moves},
      {{.domain = "", .op_type = "Identity"}, InferIdentity, Copy, moves},
      {{.domain = "",
        .op_type = "Dropout",
        .max_inputs = 3,
        .max_outputs = 2,
        .attributes = {IntAttribute("seed", 0)}},
       InferDropout,
       EvaluateDropout},
  };
}

}  // namespace qeff::ops
