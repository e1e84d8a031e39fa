// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Lets each row of a call choose its cache slot, so that requests can come and go while others
// decode.
//   Before:  past_key.0 [batch_size, K, ctx_len, E]        qeff.Attention(q, k, v, position_ids,
//   past_key.0, past_value.0) After:   past_key.0 [full_batch_size, K, ctx_len, E]
//   qeff.Attention(..., past_value.0, batch_index)
// The graph gains the input batch_index i64 [batch_size, 1] as its last input (before
// num_logits_to_keep), or behind the input that the option after names; every op with a state gets
// it. Requires: a graph with a cache
// (add-kv-cache). Leaves alone: a graph that has batch_index.
#include "passes/pass.h"
#include "passes/retained_state.h"

namespace qeff::passes {

Result<Change> AddContinuousBatching(ir::Model& model, const PassContext& context) {
  ir::Graph& graph = model.graph;
  if (graph.FindInput("batch_index") != nullptr) return Change::kNone;
  const std::vector<ir::Node*> nodes = NodesWithState(graph);
  if (nodes.empty()) {
    return InvalidInput(Location::File(model.path), "the graph has no KV cache",
                        {"continuous batching needs one: do not switch the cache off"});
  }
  std::optional<size_t> position;
  for (size_t i = 0; i < graph.inputs().size(); ++i) {
    const std::string& name = graph.inputs()[i]->name();
    if (name == "num_logits_to_keep" && !position) position = i;
    if (name == context.Option("after")) position = i + 1;
  }
  ir::Value* batch_index =
      graph.AddInput("batch_index", {DType::kI64, ir::Shape{"batch_size", 1}}, position);
  for (ir::Node* node : nodes) {
    const StatefulOp& op = *FindStatefulOp(*node);
    for (size_t i = 0; i < op.names.size(); ++i) {
      ir::Value* state = node->input(op.first_state + i);
      ir::Shape shape = *state->type().shape;
      shape[0] = "full_batch_size";
      state->set_type({state->type().dtype, std::move(shape)});
    }
    node->SetInput(op.batch_index, batch_index);
  }
  return Change::kChanged;
}

}  // namespace qeff::passes
