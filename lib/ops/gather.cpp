// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// ONNX gathers; indices in [-n, n), negative ones count from the end, others are errors.
//   Gather<axis>(x, i):          y[a.., b.., c..] = x[a.., i[b..], c..], `axis` after the a's
//   GatherElements<axis>(x, i):  y[p] = x[p with position `axis` replaced by i[p]]
//   GatherND<batch_dims>(x, i):  y[b.., p.., c..] = x[b.., i[b.., p.., :], c..]
#include "lib/ops/shape_rules.h"

namespace qeff::ops {
namespace {

Status InferGather(InferContext& context) {
  QEFF_RETURN_IF_ERROR(context.ExpectInteger(1));
  QEFF_ASSIGN_OR_RETURN(const int64_t axis,
                        NormalizeAxis(context, context.Int("axis"), context.rank(0)));
  const ir::Shape& x = context.shape(0);
  const ir::Shape& indices = context.shape(1);
  ir::Shape shape(x.begin(), x.begin() + axis);
  shape.insert(shape.end(), indices.begin(), indices.end());
  shape.insert(shape.end(), x.begin() + axis + 1, x.end());
  context.SetOutput(0, context.dtype(0), std::move(shape));
  return Status::Ok();
}

Status EvaluateGather(EvaluateContext& context) {
  const Tensor& x = context.in(0);
  const std::vector<int64_t>& indices = context.in(1).ints;
  const auto rank = static_cast<int64_t>(x.dims.size());
  QEFF_ASSIGN_OR_RETURN(const int64_t axis, NormalizeAxis(context, context.Int("axis"), rank));
  const AxisView view = ViewAxis(x.dims, axis);
  std::vector<int64_t> sources;
  sources.reserve(static_cast<size_t>(context.out().element_count()));
  for (int64_t outer = 0; outer < view.outer; ++outer) {
    for (const int64_t raw : indices) {
      QEFF_ASSIGN_OR_RETURN(const int64_t index, CheckedIndex(context, raw, view.size));
      const int64_t begin = (outer * view.size + index) * view.inner;
      for (int64_t inner = 0; inner < view.inner; ++inner) sources.push_back(begin + inner);
    }
  }
  Take(x, sources, context.out());
  return Status::Ok();
}

Status InferGatherElements(InferContext& context) {
  QEFF_RETURN_IF_ERROR(context.ExpectInteger(1));
  QEFF_RETURN_IF_ERROR(context.ExpectRank(1, context.rank(0)));
  QEFF_ASSIGN_OR_RETURN(const int64_t axis,
                        NormalizeAxis(context, context.Int("axis"), context.rank(0)));
  for (int64_t i = 0; i < context.rank(0); ++i) {
    const ir::Dim& size = context.shape(0)[static_cast<size_t>(i)];
    const ir::Dim& taken = context.shape(1)[static_cast<size_t>(i)];
    if (i != axis && size.is_number() && taken.is_number() && taken.value() > size.value()) {
      return context.Invalid(fmt::format("input 1: expected at most {} on axis {}, got {}",
                                         size.value(), i, context.TypeText(1)));
    }
  }
  context.SetOutput(0, context.dtype(0), context.shape(1));
  return Status::Ok();
}

Status EvaluateGatherElements(EvaluateContext& context) {
  const Tensor& x = context.in(0);
  const Tensor& indices = context.in(1);
  const auto rank = static_cast<int64_t>(x.dims.size());
  QEFF_ASSIGN_OR_RETURN(const int64_t axis, NormalizeAxis(context, context.Int("axis"), rank));
  std::vector<int64_t> strides = Strides(x.dims);
  const int64_t stride = strides[static_cast<size_t>(axis)];
  strides[static_cast<size_t>(axis)] = 0;
  std::vector<int64_t> sources = Offsets(indices.dims, strides);
  for (size_t i = 0; i < sources.size(); ++i) {
    QEFF_ASSIGN_OR_RETURN(const int64_t index, CheckedIndex(context, indices.ints[i],
                                                            x.dims[static_cast<size_t>(axis)]));
    sources[i] += index * stride;
  }
  Take(x, sources, context.out());
  return Status::Ok();
}

Status InferGatherNd(InferContext& context) {
  QEFF_RETURN_IF_ERROR(context.ExpectInteger(1));
  const int64_t batch_dims = context.Int("batch_dims");
  const ir::Shape& x = context.shape(0);
  const ir::Shape& indices = context.shape(1);
  if (indices.empty() || batch_dims < 0 || batch_dims >= context.rank(1)) {
    return context.Invalid(
        fmt::format("attribute 'batch_dims': expected at least 0 and less than "
                    "the rank of {}, got {}",
                    context.TypeText(1), batch_dims));
  }
  if (!indices.back().is_number()) return context.Unsupported("the depth of indices is not known");
  const int64_t depth = indices.back().value();
  if (batch_dims + depth > context.rank(0)) {
    return context.Invalid(fmt::format("indices of depth {} after {} batch axes do not fit {}",
                                       depth, batch_dims, context.TypeText(0)));
  }
  for (int64_t i = 0; i < batch_dims; ++i) {
    QEFF_RETURN_IF_ERROR(context.ExpectSize(1, i, x[static_cast<size_t>(i)]));
  }
  ir::Shape shape(indices.begin(), indices.end() - 1);
  shape.insert(shape.end(), x.begin() + batch_dims + depth, x.end());
  context.SetOutput(0, context.dtype(0), std::move(shape));
  return Status::Ok();
}

Status EvaluateGatherNd(EvaluateContext& context) {
  const Tensor& x = context.in(0);
  const Tensor& indices = context.in(1);
  const int64_t batch_dims = context.Int("batch_dims");
  const int64_t depth = indices.dims.back();
  const std::vector<int64_t> strides = Strides(x.dims);
  const AxisView view = ViewAxes(x.dims, batch_dims, batch_dims + depth);
  const int64_t batches = view.outer;
  const int64_t tuples =
      ViewAxes(indices.dims, batch_dims, static_cast<int64_t>(indices.dims.size()) - 1).size;
  std::vector<int64_t> sources;
  sources.reserve(static_cast<size_t>(context.out().element_count()));
  for (int64_t batch = 0; batch < batches; ++batch) {
    for (int64_t tuple = 0; tuple < tuples; ++tuple) {
      int64_t begin = batch * view.size * view.inner;
      for (int64_t i = 0; i < depth; ++i) {
        const auto axis = static_cast<size_t>(batch_dims + i);
        const auto at = static_cast<size_t>((batch * tuples + tuple) * depth + i);
        QEFF_ASSIGN_OR_RETURN(const int64_t index,
                              CheckedIndex(context, indices.ints[at], x.dims[axis]));
        begin += index * strides[axis];
      }
      for (int64_t inner = 0; inner < view.inner; ++inner) sources.push_back(begin + inner);
    }
  }
  Take(x, sources, context.out());
  return Status::Ok();
}

}  // namespace

std::vector<OpDefinition> GatherOps() {
  const SymbolicMeaning moves{.moved_inputs = 0b1};
  return {{{.domain = "",
            .op_type = "Gather",
            .min_inputs = 2,
            .max_inputs = 2,
            .attributes = {IntAttribute("axis", 0)}},
           InferGather,
           EvaluateGather,
           moves},
          {{.domain = "",
            .op_type = "GatherElements",
            .min_inputs = 2,
            .max_inputs = 2,
            .attributes = {IntAttribute("axis", 0)}},
           InferGatherElements,
           EvaluateGatherElements,
           moves},
          {{.domain = "",
            .op_type = "GatherND",
            .min_inputs = 2,
            .max_inputs = 2,
            .attributes = {IntAttribute("batch_dims", 0)}},
           InferGatherNd,
           EvaluateGatherNd,
           moves}};
}

}  // namespace qeff::ops
