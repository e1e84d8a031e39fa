// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Recognizes the context length of a graph without a cache where it chooses between tables.
//   Before:  c = Gather(Shape(position_ids [B, T]), 1)
//            y = Where(Greater(c, 4096), Gather(far, position_ids), Gather(near, position_ids))
//   After:   c = qeff.ContextLength(position_ids), the rest as it is
// So a cache that is added later can say how long the context is. Leaves alone: graphs that have a
// cache, and lengths that are used for anything else.
#include "passes/emitter.h"
#include "passes/match.h"
#include "passes/pass.h"

namespace qeff::passes {
namespace {

bool IsLookup(const ir::Value* value, const ir::Value* position_ids) {
  const ir::Node* gather = ProducedBy(value, "Gather");
  return gather != nullptr && gather->input(0)->is_constant() && gather->input(1) == position_ids;
}

/// True if every use of `length` is Greater(length, number) that chooses between lookups.
bool ChoosesTables(const ir::Value* length, const ir::Value* position_ids) {
  for (const ir::Use& use : length->uses()) {
    if (!use.node->IsOnnx("Greater") || use.node->input(0) != length ||
        !ir::ConstantInt(use.node->input(1))) {
      return false;
    }
    for (const ir::Use& choice : use.node->output()->uses()) {
      if (!choice.node->IsOnnx("Where") || !IsLookup(choice.node->input(1), position_ids) ||
          !IsLookup(choice.node->input(2), position_ids)) {
        return false;
      }
    }
  }
  return !length->uses().empty();
}

}  // namespace

Result<Change> RaiseContextLength(ir::Model& model, const PassContext&) {
  ir::Graph& graph = model.graph;
  for (const ir::Value* input : graph.inputs()) {
    if (input->name().starts_with("past_")) return Change::kNone;
  }
  std::vector<ir::Node*> lengths;
  for (const auto& node : graph.nodes()) {
    const ir::Node* shape = node->IsOnnx("Gather") ? ProducedBy(node->input(0), "Shape") : nullptr;
    if (shape != nullptr && ir::ConstantInt(node->input(1)) == 1 && Rank(shape->input(0)) == 2 &&
        ChoosesTables(node->output(), shape->input(0))) {
      lengths.push_back(node.get());
    }
  }
  for (ir::Node* node : lengths) {
    const Emitter emit(graph, node);
    ir::Value* position_ids = node->input(0)->producer()->input(0);
    ReplaceNode(graph, node, emit.Op("ContextLength", {position_ids}, {}, ir::kQeffDomain));
  }
  return lengths.empty() ? Change::kNone : Change::kChanged;
}

}  // namespace qeff::passes
