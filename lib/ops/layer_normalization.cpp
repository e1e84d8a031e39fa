// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// LayerNormalization<axis, epsilon>(x, gamma, beta): over all axes from `axis` on,
//   y = gamma * (x - mean(x)) / sqrt(mean((x - mean(x))^2) + epsilon) + beta.
#include <cmath>

#include "lib/ops/shape_rules.h"

namespace qeff::ops {
namespace {

Status InferLayerNormalization(InferContext& context) {
  QEFF_RETURN_IF_ERROR(context.ExpectFloat(0));
  QEFF_ASSIGN_OR_RETURN(const int64_t axis,
                        NormalizeAxis(context, context.Int("axis"), context.rank(0)));
  const ir::Shape& x = context.shape(0);
  const ir::Shape normalized(x.begin() + axis, x.end());
  for (size_t i = 1; i < context.input_count(); ++i) {
    if (!context.Has(i)) continue;
    QEFF_RETURN_IF_ERROR(context.ExpectSameDType(0, i));
    QEFF_ASSIGN_OR_RETURN(const ir::Shape both,
                          BroadcastShapes(context, normalized, context.shape(i)));
    const bool is_wider = ir::StaticDims(both) && ir::StaticDims(normalized) && both != normalized;
    if (both.size() != normalized.size() || is_wider) {
      return context.Invalid(fmt::format("input {}: expected sizes that broadcast to {}, got {}", i,
                                         ir::ShapeToString(normalized), context.TypeText(i)));
    }
  }
  context.SetOutput(0, context.dtype(0), x);
  return Status::Ok();
}

Status EvaluateLayerNormalization(EvaluateContext& context) {
  const Tensor& x = context.in(0);
  const auto rank = static_cast<int64_t>(x.dims.size());
  QEFF_ASSIGN_OR_RETURN(const int64_t axis, NormalizeAxis(context, context.Int("axis"), rank));
  const std::span<const int64_t> dims = std::span(x.dims).subspan(static_cast<size_t>(axis));
  const double epsilon = context.Float("epsilon");
  const auto offsets = [&](size_t input) {
    return Offsets(dims, BroadcastStrides(context.in(input).dims, dims));
  };
  const std::vector<int64_t> gamma = offsets(1);
  const std::vector<int64_t> beta = context.Has(2) ? offsets(2) : std::vector<int64_t>();
  const size_t run = gamma.size();
  for (size_t begin = 0; run > 0 && begin < x.floats.size(); begin += run) {
    double mean = 0;
    for (size_t i = 0; i < run; ++i) mean += x.floats[begin + i];
    mean /= static_cast<double>(run);
    double variance = 0;
    for (size_t i = 0; i < run; ++i) {
      variance += (x.floats[begin + i] - mean) * (x.floats[begin + i] - mean);
    }
    variance /= static_cast<double>(run);
    for (size_t i = 0; i < run; ++i) {
      double y = (x.floats[begin + i] - mean) / std::sqrt(variance + epsilon) *
                 context.in(1).floats[static_cast<size_t>(gamma[i])];
      if (context.Has(2)) y += context.in(2).floats[static_cast<size_t>(beta[i])];
      context.out().floats[begin + i] = y;
    }
  }
  return Status::Ok();
}

}  // namespace

std::vector<OpDefinition> LayerNormalizationOps() {
  return {{{.domain = "",
            .op_type = "LayerNormalization",
            .min_inputs = 2,
            .max_inputs = 3,
            .attributes = {IntAttribute("axis", -1), FloatAttribute("epsilon", 1e-5F),
                           IntAttribute("stash_type", 1)}},
           InferLayerNormalization,
           EvaluateLayerNormalization}};
}

}  // namespace qeff::ops
