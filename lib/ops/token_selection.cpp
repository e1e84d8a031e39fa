// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Which tokens of a call logits are computed for. p[b] is the index of the first maximum of
// position_ids[b, :], that is, of the last token that is not padding.
//   qeff.SelectLastToken(hidden [B, T, D], position_ids [B, T]) -> [B, 1, D]: row p[b]
//   qeff.SelectTokens(hidden [B, T, D], position_ids [B, T], num_logits_to_keep [n, 1]) -> [B, n,
//   D]:
//     rows start .. start + n - 1, start = 0 if p[b] < n, else p[b] + 1 - n
//   qeff.ContextLength(position_ids [B, T]) -> i64 []: how many positions attention can reach, T as
//     long as there is no cache
#include "lib/ops/shape_rules.h"

namespace qeff::ops {
namespace {

Status CheckHidden(const InferContext& context) {
  QEFF_RETURN_IF_ERROR(context.ExpectRank(0, 3));
  QEFF_RETURN_IF_ERROR(context.ExpectInteger(1));
  QEFF_RETURN_IF_ERROR(context.ExpectRank(1, 2));
  QEFF_RETURN_IF_ERROR(context.ExpectSize(1, 0, context.shape(0)[0]));
  return context.ExpectSize(1, 1, context.shape(0)[1]);
}

Status InferSelectLastToken(InferContext& context) {
  QEFF_RETURN_IF_ERROR(CheckHidden(context));
  const ir::Shape& hidden = context.shape(0);
  context.SetOutput(0, context.dtype(0), {hidden[0], 1, hidden[2]});
  return Status::Ok();
}

Status InferSelectTokens(InferContext& context) {
  QEFF_RETURN_IF_ERROR(CheckHidden(context));
  QEFF_RETURN_IF_ERROR(context.ExpectRank(2, 2));
  const ir::Shape& hidden = context.shape(0);
  const ir::Dim& kept = context.shape(2)[0];
  if (kept.is_number() && hidden[1].is_number() && kept.value() > hidden[1].value()) {
    return context.Invalid(
        fmt::format("expected at most {} tokens to keep, got {}", hidden[1].value(), kept.value()));
  }
  context.SetOutput(0, context.dtype(0), {hidden[0], kept, hidden[2]});
  return Status::Ok();
}

/// Both selections: for n = 1 the rows start at p[b].
Status Select(EvaluateContext& context) {
  const Tensor& hidden = context.in(0);
  const std::vector<int64_t>& positions = context.in(1).ints;
  const int64_t tokens = hidden.dims[1];
  const int64_t kept = context.out().dims[1];
  const int64_t run = kept * hidden.dims[2];
  if (tokens == 0) return context.Invalid("there are no tokens");
  for (int64_t b = 0; b < hidden.dims[0]; ++b) {
    int64_t last = 0;
    for (int64_t t = 1; t < tokens; ++t) {
      if (positions[static_cast<size_t>(b * tokens + t)] >
          positions[static_cast<size_t>(b * tokens + last)]) {
        last = t;
      }
    }
    const int64_t start = last < kept ? 0 : last + 1 - kept;
    WithElements(hidden, context.out(), [&](const auto& from, auto& to) {
      std::copy_n(from.begin() + (b * tokens + start) * hidden.dims[2], run, to.begin() + b * run);
    });
  }
  return Status::Ok();
}

Status InferContextLength(InferContext& context) {
  QEFF_RETURN_IF_ERROR(context.ExpectRank(0, 2));
  context.SetOutput(0, DType::kI64, {});
  context.SetContent(0, {SymbolicInt::FromDim(context.shape(0)[1])});
  return Status::Ok();
}

Status EvaluateContextLength(EvaluateContext& context) {
  context.out().ints[0] = context.in(0).dims[1];
  return Status::Ok();
}

}  // namespace

std::vector<OpDefinition> TokenSelectionOps() {
  return {
      {{.domain = ir::kQeffDomain, .op_type = "SelectLastToken", .min_inputs = 2, .max_inputs = 2},
       InferSelectLastToken,
       Select},
      {{.domain = ir::kQeffDomain, .op_type = "SelectTokens", .min_inputs = 3, .max_inputs = 3},
       InferSelectTokens,
       Select},
      {{.domain = ir::kQeffDomain, .op_type = "ContextLength"},
       InferContextLength,
       EvaluateContextLength}};
}

}  // namespace qeff::ops
