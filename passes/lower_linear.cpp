// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Turns linear layers into matrix products with the weight as ONNX wants it.
//   Before:  y = qeff.Linear(x [.., K], weight [N, K], bias [N])
//   After:   y = Add(MatMul(x, weight.transposed [K, N]), bias)
// A weight that something else reads too (a tied embedding) stays as it is and is transposed in the
// graph, so that its bytes are written once:  y = MatMul(x, Transpose(weight)).
#include "passes/emitter.h"
#include "passes/pass.h"

namespace qeff::passes {

Result<Change> LowerLinear(ir::Model& model, const PassContext&) {
  ir::Graph& graph = model.graph;
  std::vector<ir::Node*> layers;
  for (const auto& node : graph.nodes()) {
    if (node->IsQeff("Linear")) layers.push_back(node.get());
  }
  for (ir::Node* node : layers) {
    const Emitter emit(graph, node);
    ir::Value* weight = node->input(1);
    ir::Value* transposed = nullptr;
    if (weight->is_constant() && weight->uses().size() == 1 && !graph.IsOutput(weight)) {
      transposed =
          graph.AddConstant(weight->name() + ".transposed", ir::Transposed(weight->constant()));
    } else {
      transposed = emit.Transpose(weight, {1, 0});
    }
    ir::Value* y = emit.Op("MatMul", {node->input(0), transposed});
    if (ir::Value* bias = node->input(2)) y = emit.Op("Add", {y, bias});
    ReplaceNode(graph, node, y);
    if (weight->is_constant() && !graph.IsUsed(weight)) graph.EraseConstant(weight);
  }
  return layers.empty() ? Change::kNone : Change::kChanged;
}

}  // namespace qeff::passes
