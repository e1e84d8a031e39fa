// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// qeff.Linear(x [.., K], weight [N, K], bias [N]) -> [.., N]: y[n] = sum over k of x[k] * weight[n,
// k], plus bias[n] if there is one. x may be of another float dtype than weight and bias; y is like
// x.
#include "lib/ops/matrix.h"
#include "lib/ops/shape_rules.h"

namespace qeff::ops {
namespace {

Status InferLinear(InferContext& context) {
  for (size_t i = 0; i < context.input_count(); ++i) {
    if (context.Has(i)) QEFF_RETURN_IF_ERROR(context.ExpectFloat(i));
  }
  QEFF_RETURN_IF_ERROR(context.ExpectRank(1, 2));
  if (context.rank(0) == 0) {
    return context.Invalid("input 0: expected rank 1 or more, got " + context.TypeText(0));
  }
  const ir::Dim rows = context.shape(1)[0];
  QEFF_RETURN_IF_ERROR(context.ExpectSize(0, context.rank(0) - 1, context.shape(1)[1]));
  if (context.Has(2)) {
    QEFF_RETURN_IF_ERROR(context.ExpectRank(2, 1));
    QEFF_RETURN_IF_ERROR(context.ExpectSize(2, 0, rows));
  }
  ir::Shape shape = context.shape(0);
  shape.back() = rows;
  context.SetOutput(0, context.dtype(0), std::move(shape));
  return Status::Ok();
}

Status EvaluateLinear(EvaluateContext& context) {
  const Tensor& x = context.in(0);
  const Tensor& weight = context.in(1);
  const auto columns = static_cast<size_t>(weight.dims[0]);
  const auto depth = static_cast<size_t>(weight.dims[1]);
  const auto rows =
      static_cast<size_t>(ViewAxis(x.dims, static_cast<int64_t>(x.dims.size()) - 1).outer);
  const std::vector<double> no_bias;
  context.out().floats =
      MultiplyByRows(x.floats, weight.floats, context.Has(2) ? context.in(2).floats : no_bias, rows,
                     columns, depth);
  return Status::Ok();
}

}  // namespace

std::vector<OpDefinition> LinearOps() {
  return {{{.domain = ir::kQeffDomain, .op_type = "Linear", .min_inputs = 2, .max_inputs = 3},
           InferLinear,
           EvaluateLinear}};
}

}  // namespace qeff::ops
