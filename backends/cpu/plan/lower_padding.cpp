// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Batches without their padding: which rows there are, taking them out of a batch and putting them
// back, and the attention between. Steps between do as many rows as there are tokens
// (GraphLowering::FollowTokens). Where only the sum of each text's rows is read of what has got its
// padding back, as in mean pooling, the rows are summed where they are.
#include "backends/cpu/plan/lowering.h"

namespace qeff::cpu {
namespace {

int64_t RowBytes(const View& view, int64_t rows) {
  return rows == 0 ? 0 : ElementCount(view) / rows * ElementBytes(view.dtype);
}

/// A value of floats; its dims [.., N or B * S, ..] as rows.
Result<View> GetFloatRows(GraphLowering& lowering, const ir::Node& node, size_t input) {
  QEFF_ASSIGN_OR_RETURN(View view, lowering.GetRows(node.input(input)));
  if (view.dtype != DType::kF32 || view.dims.size() != 3)
    return lowering.Unsupported(node, "expected floats [1, N, channels]");
  return view;
}

Status ReadBias(GraphLowering& lowering, const ir::Node& node, PackedAttentionParams& params,
                View* bias) {
  if (node.input(5) == nullptr) return Status::Ok();
  QEFF_ASSIGN_OR_RETURN(*bias, lowering.GetDense(node.input(5)));
  if (bias->dtype != DType::kF32 || bias->dims.size() != 4 || bias->dims[3] != params.row_tokens)
    return lowering.Unsupported(node, "expected a bias [1 or B, 1 or H, 1 or S, S] of floats");
  params.bias_batch = bias->dims[0];
  params.bias_heads = bias->dims[1];
  params.bias_rows = bias->dims[2];
  return Status::Ok();
}

/// The sum over the tokens of each row that is all that is read of a result of RestorePadding, or
/// null. Rows of padding are zeros: a sum does not need them.
const ir::Node* FindSumOfTokens(GraphLowering& lowering, const ir::Value* restored) {
  if (restored->uses().size() != 1 || lowering.IsGraphOutput(restored)) return nullptr;
  const ir::Node* node = restored->uses()[0].node;
  if (!node->IsOnnx("ReduceSum") || node->input(1) == nullptr) return nullptr;
  const auto axes = ir::ConstantInts(node->input(1));
  return axes && *axes == std::vector<int64_t>{1} ? node : nullptr;
}

/// x [1, B * S, D] without padding to `sum` [B, D] or [B, 1, D].
Status AddSumOfTokens(GraphLowering& lowering, const ir::Node& sum, const View& x,
                      const View& starts, const View& mask) {
  const SumTokensParams params = {
      .batch = mask.dims[0], .row_tokens = mask.dims[1], .width = x.dims.back()};
  QEFF_ASSIGN_OR_RETURN(const View out, lowering.NewOutput(sum.output()));
  lowering.builder().AddStep(
      StepOp::kSumTokens, sum.name(), params, {Reads(x), Reads(starts), Writes(out)},
      {.units = params.width, .amount = static_cast<double>(ElementCount(x))});
  lowering.Skip(&sum);
  return Status::Ok();
}

}  // namespace

Status LowerTokenIndex(GraphLowering& lowering, const ir::Node& node) {
  QEFF_ASSIGN_OR_RETURN(const View mask, lowering.GetDense(node.input(0)));
  if (mask.dtype != DType::kI64 || mask.dims.size() != 2)
    return lowering.Unsupported(node, "expected an i64 mask [B, S]");
  const TokenIndexParams params = {.batch = mask.dims[0],
                                   .row_tokens = mask.dims[1],
                                   .keeps_first = node.IntAttribute("keeps_first", 0)};
  QEFF_ASSIGN_OR_RETURN(const View index, lowering.NewOutput(node.output(0)));
  QEFF_ASSIGN_OR_RETURN(const View starts, lowering.NewOutput(node.output(1)));
  View key_starts;
  if (node.outputs().size() > 2) {
    QEFF_ASSIGN_OR_RETURN(key_starts, lowering.NewOutput(node.output(2)));
  }
  lowering.builder().AddStep(StepOp::kTokenIndex, node.name(), params,
                             {Reads(mask), Writes(index), Writes(starts), Writes(key_starts)},
                             {.units = 1, .amount = static_cast<double>(ElementCount(mask))});
  View count = starts;
  count.dims = {1};
  count.strides = {1};
  count.offset += params.batch;
  lowering.FollowTokens(std::move(count), ElementCount(mask));
  return Status::Ok();
}

Status LowerRemovePadding(GraphLowering& lowering, const ir::Node& node) {
  QEFF_ASSIGN_OR_RETURN(const View x, lowering.GetDense(node.input(0)));
  QEFF_ASSIGN_OR_RETURN(const View index, lowering.GetDense(node.input(1)));
  if (x.dims.size() < 2) return lowering.Unsupported(node, "expected x [B, S, ...]");
  const RemovePaddingParams params = {.rows = ElementCount(index),
                                      .source_rows = x.dims[0] * x.dims[1],
                                      .row_bytes = RowBytes(x, x.dims[0] * x.dims[1])};
  QEFF_ASSIGN_OR_RETURN(const View out, lowering.NewOutput(node.output()));
  lowering.builder().AddStep(
      StepOp::kRemovePadding, node.name(), params, {Reads(x), Reads(index), Writes(out)},
      {.units = params.rows, .amount = static_cast<double>(ElementCount(out))});
  return Status::Ok();
}

Status LowerRestorePadding(GraphLowering& lowering, const ir::Node& node) {
  QEFF_ASSIGN_OR_RETURN(const View x, lowering.GetDense(node.input(0)));
  QEFF_ASSIGN_OR_RETURN(const View starts, lowering.GetDense(node.input(1)));
  QEFF_ASSIGN_OR_RETURN(const View mask, lowering.GetDense(node.input(2)));
  if (mask.dtype != DType::kI64 || mask.dims.size() != 2 || starts.dtype != DType::kI64)
    return lowering.Unsupported(node, "expected i64 row_starts [B + 1] and an i64 mask [B, S]");
  const ir::Node* sum = FindSumOfTokens(lowering, node.output());
  if (sum != nullptr && x.dtype == DType::kF32 && x.dims.size() == 3) {
    return AddSumOfTokens(lowering, *sum, x, starts, mask);
  }
  const RestorePaddingParams params = {.batch = mask.dims[0],
                                       .row_tokens = mask.dims[1],
                                       .row_bytes = RowBytes(x, ElementCount(mask)),
                                       .keeps_first = node.IntAttribute("keeps_first", 0)};
  QEFF_ASSIGN_OR_RETURN(const View out, lowering.NewOutput(node.output()));
  lowering.builder().AddStep(
      StepOp::kRestorePadding, node.name(), params,
      {Reads(x), Reads(starts), Reads(mask), Writes(out)},
      {.units = params.batch, .amount = static_cast<double>(ElementCount(out))});
  return Status::Ok();
}

Status LowerPackedAttention(GraphLowering& lowering, const ir::Node& node) {
  QEFF_ASSIGN_OR_RETURN(const View q, GetFloatRows(lowering, node, 0));
  QEFF_ASSIGN_OR_RETURN(const View k, GetFloatRows(lowering, node, 1));
  QEFF_ASSIGN_OR_RETURN(const View v, GetFloatRows(lowering, node, 2));
  QEFF_ASSIGN_OR_RETURN(const View index, lowering.GetDense(node.input(3)));
  QEFF_ASSIGN_OR_RETURN(const View starts, lowering.GetDense(node.input(4)));
  const int64_t heads = node.IntAttribute("num_heads", 0);
  const int64_t kv_heads = node.IntAttribute("num_kv_heads", 0);
  const int64_t batch = ElementCount(starts) - 1;
  if (heads < 1 || kv_heads < 1 || batch < 1 || q.dims[1] % batch != 0 ||
      index.dtype != DType::kI64 || starts.dtype != DType::kI64) {
    return lowering.Unsupported(node, "expected i64 token_index [1, N] and row_starts [B + 1]");
  }
  PackedAttentionParams params = {.batch = batch,
                                  .row_tokens = q.dims[1] / batch,
                                  .heads = heads,
                                  .kv_heads = kv_heads,
                                  .key_size = q.dims[2] / heads,
                                  .value_size = v.dims[2] / kv_heads,
                                  .q_stride = RowsOrDie(q).stride,
                                  .k_stride = RowsOrDie(k).stride,
                                  .v_stride = RowsOrDie(v).stride,
                                  .window = node.IntAttribute("window_tokens", 0),
                                  .is_causal = node.IntAttribute("is_causal", 0),
                                  .scale = node.FloatAttribute("scale", 1),
                                  .softcap = node.FloatAttribute("softcap", 0)};
  View bias;
  QEFF_RETURN_IF_ERROR(ReadBias(lowering, node, params, &bias));
  View key_starts;
  if (node.input(6) != nullptr) {
    QEFF_ASSIGN_OR_RETURN(key_starts, lowering.GetDense(node.input(6)));
    if (key_starts.dtype != DType::kI64 || ElementCount(key_starts) != batch)
      return lowering.Unsupported(node, "expected i64 key_starts [B]");
  }
  QEFF_ASSIGN_OR_RETURN(const View out, lowering.NewOutput(node.output()));
  params.out_stride = RowsOrDie(out).stride;
  const double rows = static_cast<double>(q.dims[1]);
  const bool rounds = lowering.options().compute == ComputeType::kBf16;
  lowering.builder().AddStep(
      rounds ? StepOp::kPackedAttentionBf16 : StepOp::kPackedAttention, node.name(), params,
      {Reads(q), Reads(k), Reads(v), Reads(index), Reads(starts), Reads(bias), Reads(key_starts),
       Writes(out)},
      {.units = batch * heads,
       .amount = rows * static_cast<double>(params.row_tokens * heads * params.key_size)});
  return Status::Ok();
}

}  // namespace qeff::cpu
