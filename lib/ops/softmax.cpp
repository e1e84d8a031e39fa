// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Softmax<axis>: y = exp(x - m) / sum of exp(x - m) along `axis`, m the maximum; LogSoftmax: its
// logarithm. A run of -infinity gives NaN.
#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/ops/shape_rules.h"

namespace qeff::ops {
namespace {

Status InferSoftmax(InferContext& context) {
  QEFF_RETURN_IF_ERROR(context.ExpectFloat(0));
  const Result<int64_t> axis = NormalizeAxis(context, context.Int("axis"), context.rank(0));
  if (!axis.ok()) return Status(axis.diagnostic());
  context.SetOutput(0, context.dtype(0), context.shape(0));
  return Status::Ok();
}

template <bool is_log>
Status EvaluateSoftmax(EvaluateContext& context) {
  const Tensor& x = context.in(0);
  QEFF_ASSIGN_OR_RETURN(const int64_t axis, NormalizeAxis(context, context.Int("axis"),
                                                          static_cast<int64_t>(x.dims.size())));
  const AxisView view = ViewAxis(x.dims, axis);
  for (int64_t outer = 0; outer < view.outer; ++outer) {
    for (int64_t inner = 0; inner < view.inner; ++inner) {
      const auto at = [&](int64_t i) {
        return static_cast<size_t>((outer * view.size + i) * view.inner + inner);
      };
      double largest = -std::numeric_limits<double>::infinity();
      for (int64_t i = 0; i < view.size; ++i) largest = std::fmax(largest, x.floats[at(i)]);
      double sum = 0;
      for (int64_t i = 0; i < view.size; ++i) sum += std::exp(x.floats[at(i)] - largest);
      for (int64_t i = 0; i < view.size; ++i) {
        const double shifted = x.floats[at(i)] - largest;
        context.out().floats[at(i)] = is_log ? shifted - std::log(sum) : std::exp(shifted) / sum;
      }
    }
  }
  return Status::Ok();
}

}  // namespace

std::vector<OpDefinition> SoftmaxOps() {
  return {
      {{.domain = "", .op_type = "Softmax", .attributes = {IntAttribute("axis", -1)}},
       InferSoftmax,
       EvaluateSoftmax<false>},
      {{.domain = "", .op_type = "LogSoftmax", .attributes = {IntAttribute("axis", -1)}},
       InferSoftmax,
       EvaluateSoftmax<true>},
  };
}

}  // namespace qeff::ops
