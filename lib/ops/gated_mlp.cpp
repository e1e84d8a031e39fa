// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// qeff.GatedMlp<activation>(x [.., D], gate_w [F, D], up_w [F, D], down_w [D, F], gate_b [F],
// up_b [F], down_b [D]) -> [.., D]: (f(x gate_w^T + gate_b) * (x up_w^T + up_b)) down_w^T + down_b.
// The biases may be left out.
#include "lib/ops/activations.h"
#include "lib/ops/matrix.h"
#include "lib/ops/shape_rules.h"

namespace qeff::ops {
namespace {

enum Input : size_t { kX, kGate, kUp, kDown, kGateBias, kUpBias, kDownBias };

Status InferGatedMlp(InferContext& context) {
  if (!FindActivation(context.String("activation"))) {
    return context.Unsupported(fmt::format("unknown activation '{}'", context.String("activation")),
                               {fmt::format("known: {}", fmt::join(ActivationNames(), ", "))});
  }
  for (size_t i = 0; i < context.input_count(); ++i) {
    if (context.Has(i)) QEFF_RETURN_IF_ERROR(context.ExpectFloat(i));
  }
  for (const size_t weight : {kGate, kUp, kDown}) {
    QEFF_RETURN_IF_ERROR(context.ExpectRank(weight, 2));
  }
  if (context.rank(kX) == 0) {
    return context.Invalid("input 0: expected rank 1 or more, got " + context.TypeText(kX));
  }
  const ir::Dim& model = context.shape(kX).back();
  const ir::Dim& hidden = context.shape(kGate)[0];
  QEFF_RETURN_IF_ERROR(context.ExpectSize(kGate, 1, model));
  QEFF_RETURN_IF_ERROR(context.ExpectSize(kUp, 0, hidden));
  QEFF_RETURN_IF_ERROR(context.ExpectSize(kUp, 1, model));
  QEFF_RETURN_IF_ERROR(context.ExpectSize(kDown, 0, model));
  QEFF_RETURN_IF_ERROR(context.ExpectSize(kDown, 1, hidden));
  for (const size_t bias : {kGateBias, kUpBias, kDownBias}) {
    if (!context.Has(bias)) continue;
    QEFF_RETURN_IF_ERROR(context.ExpectRank(bias, 1));
    QEFF_RETURN_IF_ERROR(context.ExpectSize(bias, 0, bias == kDownBias ? model : hidden));
  }
  context.SetOutput(0, context.dtype(kX), context.shape(kX));
  return Status::Ok();
}

Status EvaluateGatedMlp(EvaluateContext& context) {
  const std::vector<int64_t>& dims = context.in(kX).dims;
  const auto rows =
      static_cast<size_t>(ViewAxis(dims, static_cast<int64_t>(dims.size()) - 1).outer);
  const auto multiply = [&](std::span<const double> x, size_t weight, size_t bias) {
    const std::span<const double> offsets = context.Has(bias)
                                                ? std::span<const double>(context.in(bias).floats)
                                                : std::span<const double>();
    return MultiplyByRows(x, context.in(weight).floats, offsets, rows,
                          static_cast<size_t>(context.in(weight).dims[0]),
                          static_cast<size_t>(context.in(weight).dims[1]));
  };
  const ActivationFunction function = *FindActivation(context.String("activation"));
  std::vector<double> hidden = multiply(context.in(kX).floats, kGate, kGateBias);
  const std::vector<double> up = multiply(context.in(kX).floats, kUp, kUpBias);
  for (size_t i = 0; i < hidden.size(); ++i) hidden[i] = function(hidden[i]) * up[i];
  context.out().floats = multiply(hidden, kDown, kDownBias);
  return Status::Ok();
}

}  // namespace

std::vector<OpDefinition> GatedMlpOps() {
  return {{{.domain = ir::kQeffDomain,
            .op_type = "GatedMlp",
            .min_inputs = 4,
            .max_inputs = 7,
            .attributes = {RequiredAttribute("activation", AttributeKind::kString)}},
           InferGatedMlp,
           EvaluateGatedMlp}};
}

}  // namespace qeff::ops
