// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Spells out gated delta rules and their states, without a loop over tokens: all tokens of a call
// are one chunk, whose triangular system is solved by halving (recurrence.cpp has the formulas).
//   Before:  o, recurrent_state.0_RetainedState = qeff.GatedDeltaRule<num_key_heads = Hk,
//                num_value_heads = Hv>(q, k, v, g, beta, position_ids, recurrent_state.0)
//   After:   qh = repeat(Transpose(Reshape(q, [0, 0, Hk, E])))  and so on: [B, Hv, T, ..]
//            oh, recurrent_state.0_RetainedState = the rule on heads
//            o = Reshape(Transpose(oh), [0, 0, Hv * Ev])
// With a batch_index: rows come from CtxGatherCB(recurrent_state.0, batch_index, all slots) and go
// back through CtxScatterCB, to no slot where a row is padding only. Requires: types of q and v, in
// fixed last dimensions. A call of more than kLongestDeltaRuleCall tokens fails when it is
// specialised or run; the cost of a call grows with the cube of its tokens.
#include "passes/pass.h"
#include "passes/recurrence.h"

namespace qeff::passes {
namespace {

enum { kQuery, kKey, kValue, kDecay, kBeta, kPositions, kState, kBatchIndex };

/// x [B, T, heads * E] -> [B, heads * groups, T, E].
ir::Value* SplitHeads(const Emitter& emit, ir::Value* x, int64_t heads, int64_t groups) {
  const int64_t size = x->type().shape->back().value() / heads;
  x = emit.Transpose(emit.Reshape(x, {0, 0, heads, size}), {0, 2, 1, 3});
  if (groups == 1) return x;
  x = emit.Op("Expand", {emit.Unsqueeze(x, {2}), emit.Ints({1, 1, groups, 1, 1})});
  return emit.Reshape(x, {0, heads * groups, -1, size});
}

Status Lower(ir::Graph& graph, RecurrenceEmitter& recurrence, ir::Node* node) {
  for (const size_t input : {kQuery, kValue}) {
    const ir::TensorType& type = node->input(input)->type();
    if (!type.shape || type.shape->size() != 3 || !type.shape->back().is_number()) {
      return InvalidInput(Location::Node("", node->name()),
                          fmt::format("expected a fixed last dimension, got {}", type.ToString()));
    }
  }
  const int64_t key_heads = node->IntAttribute("num_key_heads", 1);
  const int64_t heads = node->IntAttribute("num_value_heads", 1);
  const int64_t groups = heads / key_heads;
  const Emitter emit(graph, node);
  const StateAccess state{.state = node->input(kState),
                          .batch_index = node->input(kBatchIndex),
                          .positions = node->input(kPositions)};
  const RecurrenceResult result =
      recurrence.GatedDeltaRule(emit,
                                {.query = SplitHeads(emit, node->input(kQuery), key_heads, groups),
                                 .key = SplitHeads(emit, node->input(kKey), key_heads, groups),
                                 .value = SplitHeads(emit, node->input(kValue), heads, 1),
                                 .decay = SplitHeads(emit, node->input(kDecay), heads, 1),
                                 .beta = SplitHeads(emit, node->input(kBeta), heads, 1),
                                 .positions = node->input(kPositions),
                                 .state = recurrence.ReadState(emit, state)},
                                node->input(kQuery)->type().dtype.value_or(DType::kF32));
  if (node->output(1) != nullptr) {
    ReplaceState(graph, node->output(1), recurrence.WriteState(emit, state, result.state));
  }
  const int64_t channels = node->input(kValue)->type().shape->back().value();
  ReplaceNode(graph, node, emit.Reshape(emit.Transpose(result.y, {0, 2, 1, 3}), {0, 0, channels}));
  return Status::Ok();
}

}  // namespace

Result<Change> LowerGatedDeltaRule(ir::Model& model, const PassContext&) {
  std::vector<ir::Node*> nodes;
  for (const auto& node : model.graph.nodes()) {
    if (node->IsQeff("GatedDeltaRule")) nodes.push_back(node.get());
  }
  RecurrenceEmitter recurrence;
  for (ir::Node* node : nodes) QEFF_RETURN_IF_ERROR(Lower(model.graph, recurrence, node));
  return nodes.empty() ? Change::kNone : Change::kChanged;
}

}  // namespace qeff::passes
