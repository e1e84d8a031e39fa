// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Expand(x, dims): x broadcast together with `dims`. Tile(x, repeats): x repeated along each axis.
#include "lib/ops/shape_rules.h"

namespace qeff::ops {
namespace {

Status InferExpand(InferContext& context) {
  QEFF_RETURN_IF_ERROR(context.ExpectInteger(1));
  QEFF_RETURN_IF_ERROR(context.ExpectRank(1, 1));
  ir::Shape target;
  if (const std::optional<SymbolicInts> content = context.Content(1)) {
    for (const SymbolicInt& size : *content) {
      if (size.is_number() && size.number() < 0) {
        return context.Invalid(fmt::format("expected sizes, got {}", size.number()));
      }
      target.push_back(size.ToDim());
    }
  } else if (context.shape(1)[0].is_number() && context.shape(1)[0].value() <= ir::kMaxRank) {
    target.resize(static_cast<size_t>(context.shape(1)[0].value()));
  } else {
    return context.Unsupported("the rank of the output is not known");
  }
  QEFF_ASSIGN_OR_RETURN(ir::Shape shape, BroadcastShapes(context, context.shape(0), target));
  context.SetOutput(0, context.dtype(0), std::move(shape));
  return Status::Ok();
}

Status EvaluateExpand(EvaluateContext& context) {
  const std::vector<int64_t>& dims = context.out().dims;
  Take(context.in(0), Offsets(dims, BroadcastStrides(context.in(0).dims, dims)), context.out());
  return Status::Ok();
}

Status InferTile(InferContext& context) {
  QEFF_RETURN_IF_ERROR(context.ExpectInteger(1));
  QEFF_RETURN_IF_ERROR(context.ExpectRank(1, 1));
  QEFF_RETURN_IF_ERROR(context.ExpectSize(1, 0, context.rank(0)));
  const std::optional<SymbolicInts> repeats = context.Content(1);
  ir::Shape shape(context.shape(0).size());
  for (size_t i = 0; repeats && i < shape.size(); ++i) {
    const SymbolicInt& count = (*repeats)[i];
    if (count.is_number() && count.number() < 0) {
      return context.Invalid(fmt::format("expected repeats, got {}", count.number()));
    }
    shape[i] = (SymbolicInt::FromDim(context.shape(0)[i]) * count).ToDim();
  }
  context.SetOutput(0, context.dtype(0), std::move(shape));
  return Status::Ok();
}

Status EvaluateTile(EvaluateContext& context) {
  const Tensor& x = context.in(0);
  const std::vector<int64_t>& dims = context.out().dims;
  const std::vector<int64_t> own = Strides(x.dims);
  const std::vector<int64_t> out = Strides(dims);
  std::vector<int64_t> sources(static_cast<size_t>(context.out().element_count()));
  for (size_t i = 0; i < sources.size(); ++i) {
    for (size_t axis = 0; axis < dims.size(); ++axis) {
      const int64_t index = static_cast<int64_t>(i) / out[axis] % dims[axis];
      sources[i] += index % x.dims[axis] * own[axis];
    }
  }
  Take(x, sources, context.out());
  return Status::Ok();
}

}  // namespace

std::vector<OpDefinition> RepeatOps() {
  const SymbolicMeaning moves{.moved_inputs = 0b1};
  return {{{.domain = "", .op_type = "Expand", .min_inputs = 2, .max_inputs = 2},
           InferExpand,
           EvaluateExpand,
           moves},
          {{.domain = "", .op_type = "Tile", .min_inputs = 2, .max_inputs = 2},
           InferTile,
           EvaluateTile,
           moves}};
}

}  // namespace qeff::ops
