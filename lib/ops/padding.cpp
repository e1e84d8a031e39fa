// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Batches without their padding. N = B * S rows; the tokens of a batch [B, S] that are no padding
// stand in the first of them, row of the batch after row of the batch.
//   qeff.TokenIndex<keeps_first>(mask i64 [B, S])
//     -> (token_index i64 [1, N], row_starts i64 [B + 1], key_starts i64 [B])
//     token_index[0, n] = b * S + t of the n-th token whose mask is not 0; -1 after the last one.
//     The tokens of batch row b are row_starts[b] <= n < row_starts[b + 1]. With keeps_first, token
//     0 of a batch row that has any token is one of them also where its mask is 0. From
//     key_starts[b] on, the masks of all are not 0.
//   qeff.RemovePadding(x [B or 1, S, ...], token_index i64 [1, N]) -> [1, N, ...]: row
//     token_index[0, n] of x (of its only batch row if there is one); zeros for -1
//   qeff.RestorePadding<keeps_first>(x [1, N, ...], row_starts i64 [B + 1], mask i64 [B, S])
//     -> [B, S, ...]: the inverse; zeros for padding
// What follows the last token is nobody's: whoever computes between the two may leave it out.
#include <algorithm>
#include <span>

#include "lib/ops/shape_rules.h"

namespace qeff::ops {
namespace {

SymbolicInt RowCount(const ir::Shape& batch) { return SizeProduct(std::span(batch).first(2)); }

Status InferTokenIndex(InferContext& context) {
  QEFF_RETURN_IF_ERROR(context.ExpectInteger(0));
  QEFF_RETURN_IF_ERROR(context.ExpectRank(0, 2));
  const ir::Shape& mask = context.shape(0);
  context.SetOutput(0, DType::kI64, {1, RowCount(mask).ToDim()});
  context.SetOutput(1, DType::kI64, {(SymbolicInt::FromDim(mask[0]) + 1).ToDim()});
  context.SetOutput(2, DType::kI64, {mask[0]});
  return Status::Ok();
}

Status EvaluateTokenIndex(EvaluateContext& context) {
  const Tensor& mask = context.in(0);
  const int64_t tokens = mask.dims[1];
  std::vector<int64_t>& index = context.out(0).ints;
  std::vector<int64_t>& starts = context.out(1).ints;
  std::fill(index.begin(), index.end(), -1);
  size_t count = 0;
  for (int64_t b = 0; b < mask.dims[0]; ++b) {
    const auto row = std::span(mask.ints).subspan(static_cast<size_t>(b * tokens), tokens);
    const bool has_token = std::ranges::any_of(row, [](int64_t m) { return m != 0; });
    const bool is_kept = context.Int("keeps_first") != 0 && has_token && row[0] == 0;
    starts[static_cast<size_t>(b)] = static_cast<int64_t>(count);
    if (is_kept) index[count++] = b * tokens;
    if (context.output_count() > 2)
      context.out(2).ints[static_cast<size_t>(b)] = static_cast<int64_t>(count);
    for (size_t t = 0; t < row.size(); ++t) {
      if (row[t] != 0) index[count++] = b * tokens + static_cast<int64_t>(t);
    }
  }
  starts.back() = static_cast<int64_t>(count);
  return Status::Ok();
}

Status InferRemovePadding(InferContext& context) {
  if (context.rank(0) < 2) return context.Invalid("expected x [B, S, ...]");
  QEFF_RETURN_IF_ERROR(context.ExpectDType(1, DType::kI64));
  QEFF_RETURN_IF_ERROR(context.ExpectRank(1, 2));
  ir::Shape shape = context.shape(0);
  shape[0] = 1;
  shape[1] = context.shape(1)[1];
  context.SetOutput(0, context.dtype(0), std::move(shape));
  return Status::Ok();
}

Status EvaluateRemovePadding(EvaluateContext& context) {
  const Tensor& x = context.in(0);
  const int64_t rows = x.dims[0] * x.dims[1];
  const int64_t count = context.in(1).element_count();
  const int64_t width = rows == 0 ? 0 : x.element_count() / rows;
  for (int64_t n = 0; n < count; ++n) {
    const int64_t token = context.in(1).ints[static_cast<size_t>(n)];
    if (token < 0 || rows == 0) continue;
    const int64_t row = x.dims[0] == 1 ? token % x.dims[1] : token;
    if (row >= rows) return context.Invalid(fmt::format("token {} of {}", row, rows));
    WithElements(x, context.out(), [&](const auto& from, auto& to) {
      std::copy_n(from.begin() + row * width, width, to.begin() + n * width);
    });
  }
  return Status::Ok();
}

Status InferRestorePadding(InferContext& context) {
  if (context.rank(0) < 2) return context.Invalid("expected x [1, N, ...]");
  QEFF_RETURN_IF_ERROR(context.ExpectDType(1, DType::kI64));
  QEFF_RETURN_IF_ERROR(context.ExpectRank(1, 1));
  QEFF_RETURN_IF_ERROR(context.ExpectInteger(2));
  QEFF_RETURN_IF_ERROR(context.ExpectRank(2, 2));
  const ir::Shape& mask = context.shape(2);
  QEFF_RETURN_IF_ERROR(context.ExpectSize(0, 1, RowCount(mask).ToDim()));
  QEFF_RETURN_IF_ERROR(context.ExpectSize(1, 0, (SymbolicInt::FromDim(mask[0]) + 1).ToDim()));
  ir::Shape shape = context.shape(0);
  shape[0] = mask[0];
  shape[1] = mask[1];
  context.SetOutput(0, context.dtype(0), std::move(shape));
  return Status::Ok();
}

Status EvaluateRestorePadding(EvaluateContext& context) {
  const Tensor& x = context.in(0);
  const Tensor& mask = context.in(2);
  const int64_t rows = mask.element_count();
  const int64_t width = rows == 0 ? 0 : context.out().element_count() / rows;
  for (int64_t b = 0; b < mask.dims[0]; ++b) {
    int64_t n = context.in(1).ints[static_cast<size_t>(b)];
    const bool has_tokens = context.in(1).ints[static_cast<size_t>(b) + 1] > n;
    const bool keeps_first = context.Int("keeps_first") != 0 && has_tokens;
    for (int64_t i = b * mask.dims[1]; i < (b + 1) * mask.dims[1]; ++i) {
      const bool is_kept = keeps_first && i == b * mask.dims[1];
      if (mask.ints[static_cast<size_t>(i)] == 0 && !is_kept) continue;
      if (n < 0 || n >= rows) return context.Invalid(fmt::format("row {} of {}", n, rows));
      WithElements(x, context.out(), [&](const auto& from, auto& to) {
        std::copy_n(from.begin() + n * width, width, to.begin() + i * width);
      });
      ++n;
    }
  }
  return Status::Ok();
}

}  // namespace

std::vector<OpDefinition> PaddingOps() {
  return {
      {{.domain = ir::kQeffDomain,
        .op_type = "TokenIndex",
        .min_outputs = 2,
        .max_outputs = 3,
        .attributes = {IntAttribute("keeps_first", 0)}},
       InferTokenIndex,
       EvaluateTokenIndex},
      {{.domain = ir::kQeffDomain, .op_type = "RemovePadding", .min_inputs = 2, .max_inputs = 2},
       InferRemovePadding,
       EvaluateRemovePadding},
      {{.domain = ir::kQeffDomain,
        .op_type = "RestorePadding",
        .min_inputs = 3,
        .max_inputs = 3,
        .attributes = {IntAttribute("keeps_first", 0)}},
       InferRestorePadding,
       EvaluateRestorePadding}};
}

}  // namespace qeff::ops
