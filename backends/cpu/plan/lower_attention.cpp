// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Attention: keys and values of the call go into the cache (or into a place in the arena that lives
// for the call), then the queries meet it.
#include <algorithm>

#include "backends/cpu/plan/lowering.h"
#include "lib/ops/attention.h"
#include "lib/ops/attention_inputs.h"

namespace qeff::cpu {
namespace {

using enum ops::AttentionInput::Index;

/// Slots of one unit when a call has so few rows that kv heads alone would not divide evenly among
/// threads: the work of a few microseconds, far more than a barrier's.
constexpr int64_t kSplitSlots = 512;

/// Two matrix tiles.
constexpr int64_t kLeastRoundedRows = 32;

struct AttentionNode {
  View q;
  View positions;        ///< of the queries
  View write_positions;  ///< of the keys and values
  View batch_index;
  View keys;    ///< cache
  View values;  ///< cache
  View alibi_slopes;
  View sinks;
  AttentionParams params;
};

/// i64 [B, T] with `value_of`(t).
template <typename Function>
Result<View> ConstantPositions(GraphLowering& lowering, const std::vector<int64_t>& q_dims,
                               const Function& value_of) {
  std::vector<int64_t> values;
  for (int64_t b = 0; b < q_dims[0]; ++b) {
    for (int64_t t = 0; t < q_dims[1]; ++t) values.push_back(value_of(t));
  }
  QEFF_ASSIGN_OR_RETURN(const ConstantPlace place, lowering.constants().AddPlain(ir::MakeInts(
                                                       {q_dims[0], q_dims[1]}, values)));
  return lowering.ConstantView(place, DType::kI64, {q_dims[0], q_dims[1]});
}

/// Without positions (an encoder) token t writes slot t and sees every slot of the call.
Status PlacePositions(GraphLowering& lowering, const ir::Node& node, AttentionNode& attention) {
  const std::vector<int64_t>& q_dims = attention.q.dims;
  if (node.input(kPositions) != nullptr) {
    QEFF_ASSIGN_OR_RETURN(attention.positions, lowering.GetDense(node.input(kPositions)));
    attention.write_positions = attention.positions;
    return Status::Ok();
  }
  if (q_dims.size() != 3 || node.input(kPastKey) != nullptr ||
      node.IntAttribute("window_tokens", 0) != 0) {
    return lowering.Unsupported(node, "expected positions for a cache or a window");
  }
  const int64_t last = q_dims[1] - 1;
  QEFF_ASSIGN_OR_RETURN(attention.positions,
                        ConstantPositions(lowering, q_dims, [&](int64_t) { return last; }));
  QEFF_ASSIGN_OR_RETURN(attention.write_positions,
                        ConstantPositions(lowering, q_dims, [](int64_t t) { return t; }));
  return Status::Ok();
}

/// Checks dims and fills what follows from them.
Result<AttentionNode> ReadNode(GraphLowering& lowering, const ir::Node& node) {
  AttentionNode result;
  QEFF_ASSIGN_OR_RETURN(result.q, lowering.GetRows(node.input(kQuery)));
  QEFF_ASSIGN_OR_RETURN(const std::vector<int64_t> k_dims, DimsOf(*node.input(kKey)));
  QEFF_ASSIGN_OR_RETURN(const std::vector<int64_t> v_dims, DimsOf(*node.input(kValue)));
  QEFF_RETURN_IF_ERROR(PlacePositions(lowering, node, result));
  const ops::AttentionAttributes attributes = ops::ReadAttentionAttributes(node);
  if (node.input(kKeyMask) != nullptr || node.input(kBias) != nullptr)
    return lowering.Unsupported(node, "padding or a bias has to be lowered (lower-attention)");
  if (attributes.ring_cache && node.input(kPastKey) != nullptr)
    return lowering.Unsupported(node, "a ring cache has to be lowered (lower-attention)");
  const int64_t heads = attributes.num_heads;
  const int64_t kv_heads = attributes.num_kv_heads;
  const std::vector<int64_t>& q_dims = result.q.dims;
  if (heads < 1 || kv_heads < 1 || heads % kv_heads != 0 || q_dims.size() != 3 ||
      k_dims.size() != 3 || v_dims.size() != 3 || q_dims[2] % heads != 0 ||
      k_dims[2] != q_dims[2] / heads * kv_heads || v_dims[2] % kv_heads != 0 ||
      result.positions.dtype != DType::kI64 ||
      ElementCount(result.positions) != q_dims[0] * q_dims[1]) {
    return lowering.Unsupported(
        node, "expected q [B, T, H * E], k [B, T, K * E], v [B, T, K * Ev], i64 positions [B, T]");
  }
  result.params = {.batch = q_dims[0],
                   .tokens = q_dims[1],
                   .heads = heads,
                   .kv_heads = kv_heads,
                   .key_size = q_dims[2] / heads,
                   .value_size = v_dims[2] / kv_heads,
                   .cache_batch = q_dims[0],
                   .capacity = q_dims[1],
                   .slots = q_dims[1],
                   .q_stride = RowsOrDie(result.q).stride,
                   .window = attributes.window_tokens,
                   .chunk = attributes.chunk_tokens,
                   .scale = attributes.scale,
                   .softcap = attributes.softcap,
                   .alibi_scale = attributes.alibi_scale,
                   .alibi_in_bf16 = attributes.alibi_in_bf16 ? 1 : 0};
  if (!attributes.alibi_slopes.empty()) {
    QEFF_ASSIGN_OR_RETURN(const ConstantPlace place, lowering.constants().AddPlain(ir::MakeFloats(
                                                         {heads}, attributes.alibi_slopes)));
    result.alibi_slopes = lowering.ConstantView(place, DType::kF32, {heads});
  }
  if (node.input(kSinks) != nullptr) {
    QEFF_ASSIGN_OR_RETURN(result.sinks, lowering.GetDense(node.input(kSinks)));
    if (result.sinks.dtype != DType::kF32 || ElementCount(result.sinks) != heads)
      return lowering.Unsupported(node, "expected f32 sinks, one a head");
  }
  return result;
}

Status UseState(GraphLowering& lowering, const ir::Node& node, AttentionNode& attention) {
  AttentionParams& params = attention.params;
  for (const size_t input : {kPastKey, kPastValue}) {
    const StateTensor* state = lowering.StateOf(node.input(input));
    const StateLayout expected = input == kPastKey ? StateLayout::kKeyPanels : StateLayout::kPlain;
    const int64_t size = input == kPastKey ? params.key_size : params.value_size;
    if (state == nullptr || state->layout != expected || state->dims.size() != 4 ||
        state->dims[1] != params.kv_heads || state->dims[3] != size || !IsFloat(state->dtype) ||
        (input == kPastValue && state->format != params.format)) {
      return lowering.Unsupported(
          node,
          "expected past keys and values [B, K, C, E] to be retained state of this node only");
    }
    if (input == kPastValue && state->dims[2] != params.capacity) {
      return lowering.Unsupported(node, "expected as many past values as past keys");
    }
    params.format = state->format;
    params.cache_batch = state->dims[0];
    params.capacity = state->dims[2];
    params.slots = params.capacity;
    QEFF_ASSIGN_OR_RETURN(View view, lowering.Get(node.input(input)));
    const ir::Value* present = node.output(input - kPastKey + 1);
    if (present != nullptr) lowering.Set(present, view);
    (input == kPastKey ? attention.keys : attention.values) = std::move(view);
  }
  if (node.input(kComputeLengths) != nullptr) {
    QEFF_ASSIGN_OR_RETURN(const std::vector<int64_t> dims, DimsOf(*node.input(kComputeLengths)));
    params.slots = std::min(params.capacity, dims.empty() ? 1 : dims[0]);
  }
  if (node.input(kBatchIndex) != nullptr) {
    QEFF_ASSIGN_OR_RETURN(attention.batch_index, lowering.GetDense(node.input(kBatchIndex)));
    if (attention.batch_index.dtype != DType::kI64 ||
        ElementCount(attention.batch_index) != params.batch) {
      return lowering.Unsupported(node, "expected i64 batch_index [B, 1]");
    }
  } else if (params.batch > params.cache_batch) {
    return lowering.Unsupported(node, "the batch is larger than the cache's");
  }
  return Status::Ok();
}

/// Writes the call's keys or values to slots.
Status AddCacheWrite(GraphLowering& lowering, const ir::Node& node, const AttentionNode& attention,
                     size_t input) {
  const bool is_key = input == kKey;
  const AttentionParams& params = attention.params;
  QEFF_ASSIGN_OR_RETURN(const View x, lowering.GetRows(node.input(input)));
  const CacheWriteParams write = {.batch = params.batch,
                                  .tokens = params.tokens,
                                  .heads = params.kv_heads,
                                  .head_size = is_key ? params.key_size : params.value_size,
                                  .x_stride = RowsOrDie(x).stride,
                                  .cache_batch = params.cache_batch,
                                  .slots = params.capacity,
                                  .as_panels = is_key ? 1 : 0,
                                  .must_fit = node.input(kPastKey) == nullptr ? 1 : 0,
                                  .format = params.format};
  lowering.builder().AddStep(
      StepOp::kCacheWrite, node.name(), write,
      {Reads(x), Reads(attention.write_positions), Reads(attention.batch_index),
       Writes(is_key ? attention.keys : attention.values)},
      {.units = params.batch * params.kv_heads,
       .amount =
           static_cast<double>(params.batch * params.tokens * params.kv_heads * write.head_size)});
  return Status::Ok();
}

/// Attention in runs of slots, then their sum.
void AddSplitAttention(GraphLowering& lowering, const ir::Node& node,
                       const AttentionNode& attention, const View& out) {
  const AttentionParams& params = attention.params;
  const int64_t splits = AttentionSplits(params.slots, kSplitSlots);
  const int64_t heads = params.batch * params.kv_heads;
  const View partial =
      lowering.builder().NewDense(DType::kF32, {heads * splits, kTileRows, params.value_size + 2});
  lowering.builder().AddStep(
      StepOp::kAttentionSplit, node.name(),
      AttentionSplitParams{.attention = params, .split_slots = kSplitSlots},
      {Reads(attention.q), Reads(attention.positions), Reads(attention.keys),
       Reads(attention.values), Reads(attention.batch_index), Reads(attention.alibi_slopes),
       Reads(attention.sinks), Writes(partial)},
      {.units = heads * splits,
       .amount = static_cast<double>(params.batch * params.tokens * params.heads) *
                 params.key_size * params.slots});
  const AttentionCombineParams combine = {.batch = params.batch,
                                          .tokens = params.tokens,
                                          .heads = params.heads,
                                          .kv_heads = params.kv_heads,
                                          .value_size = params.value_size,
                                          .splits = splits,
                                          .out_stride = params.out_stride};
  lowering.builder().AddStep(
      StepOp::kAttentionCombine, node.name(), combine,
      {Reads(partial), Reads(attention.sinks), Writes(out)},
      {.units = heads, .amount = static_cast<double>(ElementCount(partial))});
}

}  // namespace

Status LowerAttention(GraphLowering& lowering, const ir::Node& node) {
  QEFF_ASSIGN_OR_RETURN(AttentionNode attention, ReadNode(lowering, node));
  AttentionParams& params = attention.params;
  if (node.input(kPastKey) != nullptr && node.input(kPastValue) != nullptr) {
    QEFF_RETURN_IF_ERROR(UseState(lowering, node, attention));
  } else {
    const int64_t stored = PanelCount(params.tokens) * kPanelColumns;
    attention.keys = lowering.builder().NewDense(
        DType::kF32, {params.batch, params.kv_heads, stored, params.key_size});
    attention.values = lowering.builder().NewDense(
        DType::kF32, {params.batch, params.kv_heads, params.tokens, params.value_size});
  }
  QEFF_RETURN_IF_ERROR(AddCacheWrite(lowering, node, attention, kKey));
  QEFF_RETURN_IF_ERROR(AddCacheWrite(lowering, node, attention, kValue));
  QEFF_ASSIGN_OR_RETURN(const View out, lowering.NewOutput(node.output()));
  params.out_stride = RowsOrDie(out).stride;
  if (params.tokens * (params.heads / params.kv_heads) <= kTileRows &&
      params.slots >= 2 * kSplitSlots) {
    AddSplitAttention(lowering, node, attention, out);
    return Status::Ok();
  }
  // With few rows reading the cache takes the time: rounding it would only add to that.
  const bool rounds = lowering.options().compute == ComputeType::kBf16 &&
                      params.tokens * (params.heads / params.kv_heads) >= kLeastRoundedRows;
  const int64_t tiles = AttentionTiles(params.tokens, params.heads, params.kv_heads,
                                       rounds ? kBf16AttentionRows : kF32AttentionRows);
  lowering.builder().AddStep(
      rounds ? StepOp::kAttentionBf16 : StepOp::kAttention, node.name(), params,
      {Reads(attention.q), Reads(attention.positions), Reads(attention.keys),
       Reads(attention.values), Reads(attention.batch_index), Reads(attention.alibi_slopes),
       Reads(attention.sinks), Writes(out)},
      {.units = params.batch * params.kv_heads * tiles,
       .amount = static_cast<double>(params.batch * params.tokens * params.heads) *
                 params.key_size * params.slots});
  return Status::Ok();
}

}  // namespace qeff::cpu
