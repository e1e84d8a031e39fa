// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// qeff.RmsNorm<epsilon, num_groups>(x [.., G * E], gamma [E]): each run of E channels on its own,
//   y = x * gamma / sqrt(mean(x^2) + epsilon).
// com.qti.aisw.onnx.CustomRMSNorm<epsilon>(x [.., D], gamma [D]): the same with one group.
#include <cmath>

#include "lib/ops/shape_rules.h"

namespace qeff::ops {
namespace {

Status InferNorm(InferContext& context, int64_t groups) {
  QEFF_RETURN_IF_ERROR(context.ExpectFloat(0));
  QEFF_RETURN_IF_ERROR(context.ExpectFloat(1));
  QEFF_RETURN_IF_ERROR(context.ExpectRank(1, 1));
  if (groups < 1 || groups > kMostElements) {
    return context.Invalid(
        fmt::format("attribute 'num_groups': expected 1 to 2^30, got {}", groups));
  }
  if (context.rank(0) == 0) {
    return context.Invalid("input 0: expected rank 1 or more, got " + context.TypeText(0));
  }
  const SymbolicInt channels = SymbolicInt::FromDim(context.shape(1)[0]) * groups;
  QEFF_RETURN_IF_ERROR(context.ExpectSize(0, context.rank(0) - 1, channels.ToDim()));
  context.SetOutput(0, context.dtype(0), context.shape(0));
  return Status::Ok();
}

Status InferRmsNorm(InferContext& context) { return InferNorm(context, context.Int("num_groups")); }
Status InferCustomRmsNorm(InferContext& context) { return InferNorm(context, 1); }

Status EvaluateRmsNorm(EvaluateContext& context) {
  const std::vector<double>& x = context.in(0).floats;
  const std::vector<double>& gamma = context.in(1).floats;
  const double epsilon = context.Float("epsilon");
  const size_t channels = gamma.size();
  for (size_t begin = 0; channels > 0 && begin < x.size(); begin += channels) {
    double squares = 0;
    for (size_t i = 0; i < channels; ++i) squares += x[begin + i] * x[begin + i];
    const double scale = 1 / std::sqrt(squares / static_cast<double>(channels) + epsilon);
    for (size_t i = 0; i < channels; ++i) {
      context.out().floats[begin + i] = x[begin + i] * scale * gamma[i];
    }
  }
  return Status::Ok();
}

}  // namespace

std::vector<OpDefinition> RmsNormOps() {
  return {{{.domain = ir::kQeffDomain,
            .op_type = "RmsNorm",
            .min_inputs = 2,
            .max_inputs = 2,
            .attributes = {RequiredAttribute("epsilon", AttributeKind::kFloat),
                           IntAttribute("num_groups", 1)}},
           InferRmsNorm,
           EvaluateRmsNorm},
          {{.domain = ir::kAiswDomain,
            .op_type = "CustomRMSNorm",
            .min_inputs = 2,
            .max_inputs = 2,
            .attributes = {RequiredAttribute("epsilon", AttributeKind::kFloat)}},
           InferCustomRmsNorm,
           EvaluateRmsNorm}};
}

}  // namespace qeff::ops
