// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Spells out the choice of the tokens whose logits are computed.
//   Before:  y = qeff.SelectLastToken(hidden [B, T, D], position_ids [B, T])
//   After:   y = GatherND<batch_dims = 1>(hidden, Unsqueeze(ArgMax<axis = 1>(position_ids), 2))
//   Before:  y = qeff.SelectTokens(hidden, position_ids, num_logits_to_keep [n, 1])
//   After:   last = ArgMax(position_ids) [B, 1]   start = Where(last < n, 0, last + 1 - n)
//            y = GatherND<batch_dims = 1>(hidden, Unsqueeze(start + Range(n), 2))
#include "passes/emitter.h"
#include "passes/pass.h"

namespace qeff::passes {
namespace {

ir::Value* GatherTokens(const Emitter& emit, ir::Value* hidden, ir::Value* indices) {
  return emit.Op("GatherND", {hidden, emit.Unsqueeze(indices, {2})}, {{"batch_dims", int64_t{1}}});
}

}  // namespace

Result<Change> LowerSelection(ir::Model& model, const PassContext&) {
  ir::Graph& graph = model.graph;
  std::vector<ir::Node*> selections;
  for (const auto& node : graph.nodes()) {
    if (node->IsQeff("SelectLastToken") || node->IsQeff("SelectTokens"))
      selections.push_back(node.get());
  }
  for (ir::Node* node : selections) {
    const Emitter emit(graph, node);
    ir::Value* indices =
        emit.Op("ArgMax", {node->input(1)}, {{"axis", int64_t{1}}, {"keepdims", int64_t{1}}});
    if (node->op_type() == "SelectTokens") {
      ir::Value* count = emit.Op("Gather", {emit.Op("Shape", {node->input(2)}), emit.Int(0)});
      ir::Value* start = emit.Op("Sub", {emit.Op("Add", {indices, emit.Int(1)}), count});
      start = emit.Op("Where", {emit.Op("Less", {indices, count}), emit.Int(0), start});
      indices = emit.Op("Add", {start, emit.Op("Range", {emit.Int(0), count, emit.Int(1)})});
    }
    ReplaceNode(graph, node, GatherTokens(emit, node->input(0), indices));
  }
  return selections.empty() ? Change::kNone : Change::kChanged;
}

}  // namespace qeff::passes
