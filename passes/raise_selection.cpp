// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Recognizes the choice of the tokens whose logits are computed, as lower-selection writes it.
//   Before:  y = GatherND<batch_dims = 1>(hidden, Unsqueeze(ArgMax<axis = 1, keepdims =
//   1>(position_ids), 2)) After:   y = qeff.SelectLastToken(hidden, position_ids) Before:  i =
//   ArgMax(position_ids)  n = Gather(Shape(keep), 0)
//            y = GatherND<batch_dims = 1>(hidden, Unsqueeze(Where(i < n, 0, i + 1 - n) + Range(0,
//            n, 1), 2))
//   After:   y = qeff.SelectTokens(hidden, position_ids, keep)
// Leaves alone: other forms of the same choice (exporters write it with Flatten and Gather); they
// run as they are.
#include "passes/emitter.h"
#include "passes/match.h"
#include "passes/pass.h"

namespace qeff::passes {
namespace {

/// If `value` is ArgMax over the tokens of i64 [B, T], returns the positions.
ir::Value* PositionsOfArgMax(const ir::Value* value) {
  const ir::Node* node = ProducedBy(value, "ArgMax");
  if (node == nullptr || node->IntAttribute("axis", 0) != 1 ||
      node->IntAttribute("keepdims", 1) != 1 || Rank(node->input(0)) != 2) {
    return nullptr;
  }
  return SameData(node->input(0));
}

/// If `indices` are the last n tokens, returns {positions, keep}.
std::pair<ir::Value*, ir::Value*> MatchLastTokens(const ir::Value* indices) {
  const ir::Node* sum = ProducedBy(indices, "Add");
  const ir::Node* where = sum ? ProducedBy(sum->input(0), "Where") : nullptr;
  const ir::Node* range = sum ? ProducedBy(sum->input(1), "Range") : nullptr;
  const ir::Node* less = where ? ProducedBy(where->input(0), "Less") : nullptr;
  const ir::Node* start = where ? ProducedBy(where->input(2), "Sub") : nullptr;
  const ir::Node* next = start ? ProducedBy(start->input(0), "Add") : nullptr;
  if (range == nullptr || less == nullptr || next == nullptr ||
      ir::ConstantInt(where->input(1)) != 0 || ir::ConstantInt(next->input(1)) != 1 ||
      next->input(0) != less->input(0) || start->input(1) != less->input(1) ||
      range->input(1) != less->input(1) || ir::ConstantInt(range->input(0)) != 0 ||
      ir::ConstantInt(range->input(2)) != 1) {
    return {};
  }
  const ir::Node* count = ProducedBy(less->input(1), "Gather");
  const ir::Node* shape = count ? ProducedBy(count->input(0), "Shape") : nullptr;
  if (shape == nullptr || ir::ConstantInt(count->input(1)) != 0) return {};
  return {PositionsOfArgMax(less->input(0)), shape->input(0)};
}

}  // namespace

Result<Change> RaiseSelection(ir::Model& model, const PassContext&) {
  ir::Graph& graph = model.graph;
  std::vector<ir::Node*> gathers;
  for (const auto& node : graph.nodes()) {
    if (node->IsOnnx("GatherND") && node->IntAttribute("batch_dims", 0) == 1 &&
        Rank(node->input(0)) == 3) {
      gathers.push_back(node.get());
    }
  }
  Change change = Change::kNone;
  for (ir::Node* node : gathers) {
    const ir::Node* unsqueeze = ProducedBy(node->input(1), "Unsqueeze");
    if (unsqueeze == nullptr || ir::ConstantInt(unsqueeze->input(1)) != 2) continue;
    const Emitter emit(graph, node);
    ir::Value* y = nullptr;
    if (ir::Value* positions = PositionsOfArgMax(unsqueeze->input(0))) {
      y = emit.Op("SelectLastToken", {node->input(0), positions}, {}, ir::kQeffDomain);
    } else if (const auto [row_positions, keep] = MatchLastTokens(unsqueeze->input(0));
               row_positions != nullptr) {
      y = emit.Op("SelectTokens", {node->input(0), row_positions, keep}, {}, ir::kQeffDomain);
    }
    if (y == nullptr) continue;
    y->set_type(node->output()->type());
    graph.ReplaceAllUses(node->output(), y);
    change = Change::kChanged;
  }
  if (change == Change::kChanged) graph.DropDead();
  return change;
}

}  // namespace qeff::passes
