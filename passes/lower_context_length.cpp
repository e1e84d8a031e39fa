// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// In a graph without a cache, attention reaches the tokens of the call.
//   Before:  c = qeff.ContextLength(position_ids [B, T])
//   After:   c = Gather(Shape(position_ids), 1)
// add-kv-cache has replaced the op already where there is a cache.
#include "passes/emitter.h"
#include "passes/pass.h"

namespace qeff::passes {

Result<Change> LowerContextLength(ir::Model& model, const PassContext&) {
  std::vector<ir::Node*> lengths;
  for (const auto& node : model.graph.nodes()) {
    if (node->IsQeff("ContextLength")) lengths.push_back(node.get());
  }
  for (ir::Node* node : lengths) {
    const Emitter emit(model.graph, node);
    ReplaceNode(model.graph, node,
                emit.Op("Gather", {emit.Op("Shape", {node->input(0)}), emit.Int(1)}));
  }
  return lengths.empty() ? Change::kNone : Change::kChanged;
}

}  // namespace qeff::passes
