// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "passes/retained_state.h"

namespace qeff::passes {

const StatefulOp* FindStatefulOp(const ir::Node& node) {
  static const std::vector<StatefulOp> ops = {
      {.op_type = "Attention",
       .positions = 3,
       .first_state = 4,
       .batch_index = 6,
       .names = {"past_key", "past_value"},
       .can_take_back = true},
      {.op_type = "CausalConv",
       .positions = 2,
       .first_state = 4,
       .batch_index = 5,
       .names = {"conv_state"}},
      {.op_type = "GatedDeltaRule",
       .positions = 5,
       .first_state = 6,
       .batch_index = 7,
       .names = {"recurrent_state"}},
  };
  for (const StatefulOp& op : ops) {
    if (node.IsQeff(op.op_type)) return &op;
  }
  return nullptr;
}

namespace {

std::vector<ir::Node*> Select(const ir::Graph& graph, bool with_state) {
  std::vector<ir::Node*> nodes;
  for (const auto& node : graph.nodes()) {
    const StatefulOp* op = FindStatefulOp(*node);
    if (op == nullptr || node->input(op->positions) == nullptr) continue;
    if ((node->input(op->first_state) != nullptr) == with_state) nodes.push_back(node.get());
  }
  return nodes;
}

}  // namespace

std::vector<ir::Node*> NodesWithState(const ir::Graph& graph) { return Select(graph, true); }

std::vector<ir::Node*> NodesWithoutState(const ir::Graph& graph) { return Select(graph, false); }

const ir::Node* FindUnforgetting(const ir::Graph& graph) {
  for (const ir::Node* node : NodesWithState(graph)) {
    if (!FindStatefulOp(*node)->can_take_back) return node;
  }
  return nullptr;
}

}  // namespace qeff::passes
