// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The cache ops of the compiler contract where raising has not made an attention of them, with the
// meaning they have on a card: an index outside the cache writes nothing and reads zeros.
#include "backends/cpu/plan/lowering.h"

namespace qeff::cpu {
namespace {

/// Positions or indices as dense i64.
Result<View> GetWide(GraphLowering& lowering, const ir::Value* value) {
  QEFF_ASSIGN_OR_RETURN(const View view, lowering.GetDense(value));
  if (view.dtype == DType::kI64) return view;
  View wide = lowering.builder().NewDense(DType::kI64, view.dims);
  lowering.AddCopy(view, wide, value->name());
  return wide;
}

/// [B, C, D] as [B, 1, C, D].
View WithHeads(View view) {
  if (view.dims.size() == 3) {
    view.dims.insert(view.dims.begin() + 1, 1);
    view.strides.insert(view.strides.begin() + 1, 0);
  }
  return view;
}

/// The format of what a gather reads: a state in another one is only read after its scatter.
CacheFormat FormatOfData(const GraphLowering& lowering, const ir::Value* data) {
  const ir::Node* scatter = data->producer();
  if (scatter == nullptr || !scatter->op_type().starts_with("CtxScatter")) return CacheFormat::kF32;
  const StateTensor* state = lowering.StateOf(scatter->input(0));
  return state == nullptr ? CacheFormat::kF32 : state->format;
}

bool HasBatchIndex(const ir::Node& node) { return node.op_type().find("CB") != std::string::npos; }

}  // namespace

Status LowerCtxScatter(GraphLowering& lowering, const ir::Node& node) {
  const size_t first = HasBatchIndex(node) ? 2 : 1;
  QEFF_ASSIGN_OR_RETURN(const View positions, GetWide(lowering, node.input(first)));
  QEFF_ASSIGN_OR_RETURN(const View update, lowering.Get(node.input(first + 1)));
  QEFF_ASSIGN_OR_RETURN(View data, lowering.Get(node.input(0)));
  View cache_rows;
  if (HasBatchIndex(node)) {
    QEFF_ASSIGN_OR_RETURN(cache_rows, GetWide(lowering, node.input(1)));
  }
  const View updates = WithHeads(update);
  if (data.dtype != DType::kF32 || updates.dtype != DType::kF32 || updates.dims.size() != 4 ||
      WithHeads(data).dims.size() != 4) {
    return lowering.Unsupported(node, "expected float data and updates of rank 3 or 4");
  }
  // State that nothing else reads is written where it lies.
  const StateTensor* state = lowering.StateOf(node.input(0));
  const bool in_place = state != nullptr && node.input(0)->uses().size() == 1 && IsDense(data);
  if (in_place) {
    lowering.Set(node.output(), data);
  } else {
    QEFF_ASSIGN_OR_RETURN(const View out, lowering.NewOutput(node.output()));
    lowering.AddCopy(data, out, node.name());
    data = out;
  }
  const View cache = WithHeads(data);
  ContextScatterParams params = {.batch = updates.dims[0],
                                 .heads = updates.dims[1],
                                 .tokens = updates.dims[2],
                                 .slots = cache.dims[2],
                                 .head_size = cache.dims[3],
                                 .cache_batch = cache.dims[0]};
  if (state != nullptr) params.format = state->format;
  for (size_t i = 0; i < 4; ++i) params.update_strides[i] = updates.strides[i];
  lowering.builder().AddStep(
      StepOp::kContextScatter, node.name(), params,
      {Reads(updates), Reads(positions), Reads(cache_rows), Writes(cache)},
      {.units = params.batch * params.heads, .amount = static_cast<double>(ElementCount(updates))});
  return Status::Ok();
}

Status LowerCtxGather(GraphLowering& lowering, const ir::Node& node) {
  const size_t first = HasBatchIndex(node) ? 2 : 1;
  QEFF_ASSIGN_OR_RETURN(const View data, lowering.GetDense(node.input(0)));
  QEFF_ASSIGN_OR_RETURN(View indices, GetWide(lowering, node.input(first)));
  View cache_rows;
  if (HasBatchIndex(node)) {
    QEFF_ASSIGN_OR_RETURN(cache_rows, GetWide(lowering, node.input(1)));
  }
  QEFF_ASSIGN_OR_RETURN(const View out, lowering.NewOutput(node.output()));
  const View cache = WithHeads(data);
  const View result = WithHeads(out);
  if (indices.dims.size() == 2) {  // [B, S]: the same for all heads
    indices.dims.insert(indices.dims.begin() + 1, 1);
    indices.strides.insert(indices.strides.begin() + 1, 0);
  }
  if (data.dtype != DType::kF32 || cache.dims.size() != 4 || indices.dims.size() != 3 ||
      indices.dims[2] < result.dims[2]) {
    return lowering.Unsupported(node, "expected float data [B, K, C, E] and indices [B, K, S]");
  }
  const ContextGatherParams params = {
      .batch = result.dims[0],
      .heads = result.dims[1],
      .slots = cache.dims[2],
      .head_size = cache.dims[3],
      .cache_batch = cache.dims[0],
      .count = result.dims[2],
      .index_batch_stride = indices.dims[0] == 1 ? 0 : indices.strides[0],
      .index_head_stride = indices.dims[1] == 1 ? 0 : indices.strides[1],
      .format = FormatOfData(lowering, node.input(0))};
  lowering.builder().AddStep(
      StepOp::kContextGather, node.name(), params,
      {Reads(cache), Reads(indices), Reads(cache_rows), Writes(result)},
      {.units = params.batch * params.heads, .amount = static_cast<double>(ElementCount(result))});
  return Status::Ok();
}

}  // namespace qeff::cpu
