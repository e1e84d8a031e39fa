// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// qeff.Experts<activation, limit, up_offset, weights_scale_inputs>(x [.., D], expert_ids i64 [..,
// k],
//     expert_weights [.., k], gate [X, F, D], up [X, F, D], down [X, D, F], gate_bias [X, F],
//     up_bias [X, F], down_bias [X, D]) -> [.., D]: the gated feed-forward blocks that a router has
// chosen for each token, weighted and added. With e = expert_ids[.., i], w = expert_weights[.., i]:
//   y = sum over i of w * f_e(x),  or with weights_scale_inputs = 1:  y = sum over i of f_e(w * x)
//   f_e(v) = down[e] (a(min(g, limit)) * (max(-limit, min(u, limit)) + up_offset)) + down_bias[e]
//   g = gate[e] v + gate_bias[e],  u = up[e] v + up_bias[e],  a the activation
// A limit of 0 means none. The biases may be left out.
#include <algorithm>

#include "lib/ops/activations.h"
#include "lib/ops/matrix.h"
#include "lib/ops/shape_rules.h"

namespace qeff::ops {
namespace {

enum Input : size_t {
  kX,
  kExpertIds,
  kExpertWeights,
  kGate,
  kUp,
  kDown,
  kGateBias,
  kUpBias,
  kDownBias
};

Status CheckAttributes(const InferContext& context) {
  if (!FindActivation(context.String("activation"))) {
    return context.Unsupported(fmt::format("unknown activation '{}'", context.String("activation")),
                               {fmt::format("known: {}", fmt::join(ActivationNames(), ", "))});
  }
  if (!(context.Float("limit") >= 0)) {
    return context.Invalid(
        fmt::format("attribute 'limit': expected 0 or more, got {}", context.Float("limit")));
  }
  const int64_t scales_inputs = context.Int("weights_scale_inputs");
  if (scales_inputs != 0 && scales_inputs != 1) {
    return context.Invalid(
        fmt::format("attribute 'weights_scale_inputs': expected 0 or 1, got {}", scales_inputs));
  }
  return Status::Ok();
}

/// The axes of `input` before its last one are those of x.
Status ExpectRowsOfX(const InferContext& context, size_t input) {
  QEFF_RETURN_IF_ERROR(context.ExpectRank(input, context.rank(kX)));
  for (int64_t axis = 0; axis + 1 < context.rank(kX); ++axis) {
    QEFF_RETURN_IF_ERROR(
        context.ExpectSize(input, axis, context.shape(kX)[static_cast<size_t>(axis)]));
  }
  return Status::Ok();
}

Status CheckWeights(const InferContext& context) {
  const ir::Dim& model = context.shape(kX).back();
  for (const size_t weight : {kGate, kUp, kDown}) {
    QEFF_RETURN_IF_ERROR(context.ExpectRank(weight, 3));
  }
  const ir::Dim experts = context.shape(kGate)[0];
  const ir::Dim hidden = context.shape(kGate)[1];
  QEFF_RETURN_IF_ERROR(context.ExpectSize(kGate, 2, model));
  QEFF_RETURN_IF_ERROR(context.ExpectSize(kUp, 0, experts));
  QEFF_RETURN_IF_ERROR(context.ExpectSize(kUp, 1, hidden));
  QEFF_RETURN_IF_ERROR(context.ExpectSize(kUp, 2, model));
  QEFF_RETURN_IF_ERROR(context.ExpectSize(kDown, 0, experts));
  QEFF_RETURN_IF_ERROR(context.ExpectSize(kDown, 1, model));
  QEFF_RETURN_IF_ERROR(context.ExpectSize(kDown, 2, hidden));
  for (const size_t bias : {kGateBias, kUpBias, kDownBias}) {
    if (!context.Has(bias)) continue;
    QEFF_RETURN_IF_ERROR(context.ExpectRank(bias, 2));
    QEFF_RETURN_IF_ERROR(context.ExpectSize(bias, 0, experts));
    QEFF_RETURN_IF_ERROR(context.ExpectSize(bias, 1, bias == kDownBias ? model : hidden));
  }
  return Status::Ok();
}

Status InferExperts(InferContext& context) {
  QEFF_RETURN_IF_ERROR(CheckAttributes(context));
  for (size_t i = 0; i < context.input_count(); ++i) {
    if (i != kExpertIds && context.Has(i)) QEFF_RETURN_IF_ERROR(context.ExpectFloat(i));
  }
  if (context.rank(kX) == 0) {
    return context.Invalid("input 0: expected rank 1 or more, got " + context.TypeText(kX));
  }
  QEFF_RETURN_IF_ERROR(context.ExpectInteger(kExpertIds));
  QEFF_RETURN_IF_ERROR(ExpectRowsOfX(context, kExpertIds));
  QEFF_RETURN_IF_ERROR(ExpectRowsOfX(context, kExpertWeights));
  QEFF_RETURN_IF_ERROR(
      context.ExpectSize(kExpertWeights, context.rank(kX) - 1, context.shape(kExpertIds).back()));
  QEFF_RETURN_IF_ERROR(CheckWeights(context));
  context.SetOutput(0, context.dtype(kX), context.shape(kX));
  return Status::Ok();
}

class ExpertLoop {
 public:
  explicit ExpertLoop(EvaluateContext& context)
      : context_(context),
        function_(*FindActivation(context.String("activation"))),
        experts_(context.in(kGate).dims[0]),
        limit_(context.Float("limit")),
        up_offset_(context.Float("up_offset")) {}

  Status Run() {
    const Tensor& ids = context_.in(kExpertIds);
    const auto choices = static_cast<size_t>(ids.dims.back());
    const auto width = static_cast<size_t>(context_.in(kX).dims.back());
    const std::vector<double>& x = context_.in(kX).floats;
    std::vector<double>& out = context_.out().floats;
    const bool scales_inputs = context_.Int("weights_scale_inputs") != 0;
    for (size_t i = 0; i < ids.ints.size(); ++i) {
      const int64_t expert = ids.ints[i];
      if (expert < 0 || expert >= experts_) {
        return context_.Invalid(fmt::format("expert {} is outside of [0, {})", expert, experts_));
      }
      const size_t row = i / choices * width;
      const double weight = context_.in(kExpertWeights).floats[i];
      std::vector<double> v(x.begin() + static_cast<std::ptrdiff_t>(row),
                            x.begin() + static_cast<std::ptrdiff_t>(row + width));
      if (scales_inputs) {
        for (double& element : v) element *= weight;
      }
      const std::vector<double> y = Apply(expert, v);
      for (size_t d = 0; d < width; ++d) out[row + d] += scales_inputs ? y[d] : weight * y[d];
    }
    return Status::Ok();
  }

 private:
  std::vector<double> Multiply(std::span<const double> x, int64_t expert, size_t weight,
                               size_t bias) const {
    const Tensor& stack = context_.in(weight);
    const auto rows = static_cast<size_t>(stack.dims[1]);
    const auto columns = static_cast<size_t>(stack.dims[2]);
    const auto e = static_cast<size_t>(expert);
    std::span<const double> offsets;
    if (context_.Has(bias)) {
      offsets = std::span(context_.in(bias).floats).subspan(e * rows, rows);
    }
    const auto matrix = std::span(stack.floats).subspan(e * rows * columns, rows * columns);
    return MultiplyByRows(x, matrix, offsets, 1, rows, columns);
  }

  std::vector<double> Apply(int64_t expert, std::span<const double> v) const {
    std::vector<double> hidden = Multiply(v, expert, kGate, kGateBias);
    const std::vector<double> up = Multiply(v, expert, kUp, kUpBias);
    for (size_t i = 0; i < hidden.size(); ++i) {
      double gate = hidden[i];
      double factor = up[i];
      if (limit_ > 0) {  // comparisons that keep NaN
        gate = gate > limit_ ? limit_ : gate;
        factor = factor > limit_ ? limit_ : factor < -limit_ ? -limit_ : factor;
      }
      hidden[i] = function_(gate) * (factor + up_offset_);
    }
    return Multiply(hidden, expert, kDown, kDownBias);
  }

  EvaluateContext& context_;
  ActivationFunction function_;
  int64_t experts_;
  double limit_;
  double up_offset_;
};

Status EvaluateExperts(EvaluateContext& context) { return ExpertLoop(context).Run(); }

}  // namespace

std::vector<OpDefinition> ExpertsOps() {
  return {{{.domain = ir::kQeffDomain,
            .op_type = "Experts",
            .min_inputs = 6,
            .max_inputs = 9,
            .attributes = {RequiredAttribute("activation", AttributeKind::kString),
                           FloatAttribute("limit", 0), FloatAttribute("up_offset", 0),
                           IntAttribute("weights_scale_inputs", 0)}},
           InferExperts,
           EvaluateExperts}};
}

}  // namespace qeff::ops
