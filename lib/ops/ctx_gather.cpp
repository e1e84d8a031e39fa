// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The cache reads of the AI 100 compiler: slot index[..] of each row and head. An index outside of
// [0, C) gives zeros, as on the device; indices are broadcast over rows and heads.
//   CtxGather(data [B, K, C, E], indices [B or 1, K or 1, n], n []) -> [B, K, n, E]
//   CtxGatherBlockedKV(data [B, K, C, E], indices [B, K, n]) -> [B, K, n, E]
//   CtxGatherCB(data [Bc, K, C, E], batch_index [B, 1], indices, n []) -> [B, K, n, E]; n is that
//   of
//     the indices, the last input is not read
//   CtxGatherBlockedKVCB(data, batch_index, indices): the same without n
//   CtxGather3D(data [B, C, E], indices [B or 1, n]) -> [B, n, E]
//   CtxGatherCB3D(data [Bc, C, E], batch_index [B, 1], indices [B or 1, C or 1]) -> [B, C, E]
#include "lib/ops/shape_rules.h"

namespace qeff::ops {
namespace {

enum class Rows { kOfBatch, kByBatchIndex };
/// What n is.
enum class Count { kOfIndices, kInput, kAllSlots };

template <Rows rows, bool has_heads, Count count>
Status InferGather(InferContext& context) {
  constexpr size_t kIndices = rows == Rows::kByBatchIndex ? 2 : 1;
  constexpr size_t kAxes = has_heads ? 2 : 1;  // before the slots
  QEFF_RETURN_IF_ERROR(context.ExpectRank(0, kAxes + 2));
  QEFF_RETURN_IF_ERROR(context.ExpectInteger(kIndices));
  QEFF_RETURN_IF_ERROR(context.ExpectRank(kIndices, kAxes + 1));
  const ir::Shape& data = context.shape(0);
  ir::Shape picked(data.begin(), data.begin() + kAxes);  // rows, heads, n
  if (rows == Rows::kByBatchIndex) {
    QEFF_RETURN_IF_ERROR(context.ExpectInteger(1));
    QEFF_RETURN_IF_ERROR(context.ExpectRank(1, 2));
    QEFF_RETURN_IF_ERROR(context.ExpectSize(1, 1, 1));
    picked[0] = context.shape(1)[0];
  }
  ir::Dim taken = context.shape(kIndices).back();
  if (count == Count::kAllSlots) taken = data[kAxes];
  if (count == Count::kInput) {
    const std::optional<SymbolicInts> content = context.Content(kIndices + 1);
    if (content && content->size() != 1) {
      return context.Invalid(fmt::format("input {}: expected one element, got {}", kIndices + 1,
                                         context.TypeText(kIndices + 1)));
    }
    if (content) {
      taken = content->front().ToDim();
    } else if (taken == ir::Dim(1)) {
      taken = ir::Dim();  // one index may stand for all n
    }
  }
  picked.push_back(taken);
  QEFF_ASSIGN_OR_RETURN(const ir::Shape both,
                        BroadcastShapes(context, picked, context.shape(kIndices)));
  const auto known = ir::StaticDims(picked);
  if (known && ir::StaticDims(both) && both != picked) {
    return context.Invalid(fmt::format("input {}: expected sizes that broadcast to {}, got {}",
                                       kIndices, ir::ShapeToString(picked),
                                       context.TypeText(kIndices)));
  }
  picked.push_back(data.back());
  context.SetOutput(0, context.dtype(0), std::move(picked));
  return Status::Ok();
}

template <Rows rows, bool has_heads>
Status EvaluateGather(EvaluateContext& context) {
  constexpr size_t kIndices = rows == Rows::kByBatchIndex ? 2 : 1;
  constexpr size_t kAxes = has_heads ? 2 : 1;
  const Tensor& data = context.in(0);
  const Tensor& indices = context.in(kIndices);
  Tensor& y = context.out();
  const std::span<const int64_t> picked = std::span<const int64_t>(y.dims).first(kAxes + 1);
  const std::vector<int64_t> offsets = Offsets(picked, BroadcastStrides(indices.dims, picked));
  const int64_t heads = has_heads ? data.dims[1] : 1;
  const int64_t slots = data.dims[kAxes];
  const int64_t size = data.dims.back();
  const int64_t taken = picked.back();
  WithElements(data, y, [&](const auto& from, auto& to) {
    for (size_t i = 0; i < offsets.size(); ++i) {
      const int64_t line = static_cast<int64_t>(i) / taken;  // row and head
      const int64_t slot = indices.ints[static_cast<size_t>(offsets[i])];
      int64_t row = line / heads;
      if (rows == Rows::kByBatchIndex) row = context.in(1).ints[static_cast<size_t>(row)];
      if (slot < 0 || slot >= slots || row < 0 || row >= data.dims[0]) continue;
      std::copy_n(from.begin() + ((row * heads + line % heads) * slots + slot) * size, size,
                  to.begin() + static_cast<int64_t>(i) * size);
    }
  });
  return Status::Ok();
}

template <Rows rows, bool has_heads, Count count>
OpDefinition Gather(std::string_view name, int inputs) {
  return {{.domain = ir::kCloudDomain, .op_type = name, .min_inputs = inputs, .max_inputs = inputs},
          InferGather<rows, has_heads, count>,
          EvaluateGather<rows, has_heads>};
}

}  // namespace

std::vector<OpDefinition> CtxGatherOps() {
  return {Gather<Rows::kOfBatch, true, Count::kInput>("CtxGather", 3),
          Gather<Rows::kOfBatch, true, Count::kOfIndices>("CtxGatherBlockedKV", 2),
          Gather<Rows::kByBatchIndex, true, Count::kOfIndices>("CtxGatherCB", 4),
          Gather<Rows::kByBatchIndex, true, Count::kOfIndices>("CtxGatherBlockedKVCB", 3),
          Gather<Rows::kOfBatch, false, Count::kOfIndices>("CtxGather3D", 2),
          Gather<Rows::kByBatchIndex, false, Count::kAllSlots>("CtxGatherCB3D", 3)};
}

}  // namespace qeff::ops
