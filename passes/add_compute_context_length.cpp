// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Lets a call attend to the first n cache slots only, n being the length of a dummy input: a
// specialization with a small n computes less while the text is short.
//   Before:  qeff.Attention(q, k, v, position_ids, past_key.0, past_value.0)
//   After:   qeff.Attention(q, k, v, position_ids, past_key.0, past_value.0, , comp_ctx_lengths)
// The graph gains the input comp_ctx_lengths i64 [comp_ctx_lengths] after the caches.
// Requires: a graph with a KV cache (add-kv-cache); runs before add-continuous-batching, whose
// input comes later. Leaves alone: a graph that has comp_ctx_lengths.
#include "lib/ops/attention_inputs.h"
#include "passes/pass.h"

namespace qeff::passes {

Result<Change> AddComputeContextLength(ir::Model& model, const PassContext&) {
  using enum ops::AttentionInput::Index;
  ir::Graph& graph = model.graph;
  if (graph.FindInput("comp_ctx_lengths") != nullptr) return Change::kNone;
  std::vector<ir::Node*> attentions;
  for (const auto& node : graph.nodes()) {
    // A ring is read whole.
    if (node->IsQeff("Attention") && node->input(kPastKey) != nullptr &&
        node->IntAttribute("ring_cache", 0) == 0) {
      attentions.push_back(node.get());
    }
  }
  if (attentions.empty()) {
    return InvalidInput(Location::File(model.path), "the graph has no KV cache",
                        {"a compute context length needs one: do not switch the cache off"});
  }
  size_t position = 0;
  for (size_t i = 0; i < graph.inputs().size(); ++i) {
    const std::string state = graph.inputs()[i]->name() + std::string(ir::kRetainedStateSuffix);
    if (graph.FindOutput(state) != nullptr) position = i + 1;
  }
  ir::Value* lengths =
      graph.AddInput("comp_ctx_lengths", {DType::kI64, ir::Shape{"comp_ctx_lengths"}}, position);
  for (ir::Node* node : attentions) node->SetInput(kComputeLengths, lengths);
  return Change::kChanged;
}

}  // namespace qeff::passes
