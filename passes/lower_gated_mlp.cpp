// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Splits a gated feed-forward block into its linear layers.
//   Before:  y = qeff.GatedMlp<activation = a>(x, gate, up, down, gate_bias, up_bias, down_bias)
//   After:   y = qeff.Linear(Mul(qeff.Activation<kind = a>(qeff.Linear(x, gate, gate_bias)),
//   qeff.Linear(x, up, up_bias)),
//                            down, down_bias)
// Runs before lower-linear and lower-activation.
#include "passes/emitter.h"
#include "passes/pass.h"

namespace qeff::passes {

Result<Change> LowerGatedMlp(ir::Model& model, const PassContext&) {
  ir::Graph& graph = model.graph;
  std::vector<ir::Node*> blocks;
  for (const auto& node : graph.nodes()) {
    if (node->IsQeff("GatedMlp")) blocks.push_back(node.get());
  }
  for (ir::Node* node : blocks) {
    const std::string scope = ScopeOf(node->name());
    const auto linear = [&](std::string_view part, ir::Value* x, size_t weight) {
      return Emitter(graph, node, fmt::format("{}/{}", scope, part))
          .Op("Linear", {x, node->input(weight), node->input(weight + 3)}, {}, ir::kQeffDomain);
    };
    ir::Value* x = node->input(0);
    ir::Value* gate = linear("gate_proj", x, 1);
    gate = Emitter(graph, node, scope + "/act_fn")
               .Op("Activation", {gate}, {{"kind", node->StringAttribute("activation", "")}},
                   ir::kQeffDomain);
    ir::Value* product = Emitter(graph, node).Op("Mul", {gate, linear("up_proj", x, 2)});
    ReplaceNode(graph, node, linear("down_proj", product, 3));
  }
  return blocks.empty() ? Change::kNone : Change::kChanged;
}

}  // namespace qeff::passes
