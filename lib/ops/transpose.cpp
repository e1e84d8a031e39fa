// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Transpose<perm>(x): axis i of the output is axis perm[i] of x; without perm the axes in reverse.
#include "lib/ops/shape_rules.h"

namespace qeff::ops {
namespace {

Result<std::vector<int64_t>> Permutation(const NodeContext& context, int64_t rank) {
  if (!context.HasAttribute("perm")) {
    std::vector<int64_t> reversed;
    for (int64_t axis = rank; axis-- > 0;) reversed.push_back(axis);
    return reversed;
  }
  const std::vector<int64_t>& perm = context.Ints("perm");
  if (static_cast<int64_t>(perm.size()) != rank) {
    return context.Invalid(
        fmt::format("attribute 'perm': expected {} axes, got {}", rank, perm.size()));
  }
  return NormalizeAxes(context, perm, rank);
}

Status InferTranspose(InferContext& context) {
  QEFF_ASSIGN_OR_RETURN(const std::vector<int64_t> perm, Permutation(context, context.rank(0)));
  ir::Shape shape;
  for (const int64_t axis : perm) shape.push_back(context.shape(0)[static_cast<size_t>(axis)]);
  context.SetOutput(0, context.dtype(0), std::move(shape));
  return Status::Ok();
}

Status EvaluateTranspose(EvaluateContext& context) {
  const Tensor& x = context.in(0);
  QEFF_ASSIGN_OR_RETURN(const std::vector<int64_t> perm,
                        Permutation(context, static_cast<int64_t>(x.dims.size())));
  const std::vector<int64_t> own = Strides(x.dims);
  std::vector<int64_t> strides;
  for (const int64_t axis : perm) strides.push_back(own[static_cast<size_t>(axis)]);
  Take(x, Offsets(context.out().dims, strides), context.out());
  return Status::Ok();
}

}  // namespace

std::vector<OpDefinition> TransposeOps() {
  return {{{.domain = "",
            .op_type = "Transpose",
            .attributes = {OptionalAttribute("perm", AttributeKind::kInts)}},
           InferTranspose,
           EvaluateTranspose,
           {.moved_inputs = 0b1}}};
}

}  // namespace qeff::ops
