// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Recognizes the gated feed-forward block.
//   Before:  y = qeff.Linear(Mul(qeff.Activation<kind = a>(qeff.Linear(x, gate, gb)),
//   qeff.Linear(x, up, ub)), down, db) After:   y = qeff.GatedMlp<activation = a>(x, gate, up,
//   down, gb, ub, db)
// The activation may also be one of the ONNX ops Relu, Sigmoid, Tanh.
// Requires: the inner values used nowhere else.
// Leaves alone: a gate and an up projection in one fused Linear (Split): no semantic op for it yet.
#include "passes/emitter.h"
#include "passes/match.h"
#include "passes/pass.h"

namespace qeff::passes {
namespace {

/// The kind of activation that makes `value`; empty if none.
std::string ActivationKind(const ir::Value* value) {
  const ir::Node* node = value->producer();
  if (node == nullptr) return "";
  if (node->IsQeff("Activation")) return node->StringAttribute("kind", "");
  if (node->IsOnnx("Relu")) return "relu";
  if (node->IsOnnx("Sigmoid")) return "sigmoid";
  if (node->IsOnnx("Tanh")) return "tanh";
  return "";
}

struct Match {
  const ir::Node* gate = nullptr;
  const ir::Node* up = nullptr;
  std::string activation;
};

std::optional<Match> MatchBlock(const ir::Graph& graph, const ir::Node& down) {
  const ir::Node* product = ProducedBy(down.input(0), "Mul");
  if (product == nullptr || !HasOneUse(graph, product->output())) return std::nullopt;
  for (const size_t side : {size_t{0}, size_t{1}}) {
    const ir::Value* activated = product->input(side);
    const std::string kind = ActivationKind(activated);
    if (kind.empty() || !HasOneUse(graph, activated)) continue;
    const ir::Node* gate = ProducedBy(activated->producer()->input(0), ir::kQeffDomain, "Linear");
    const ir::Node* up = ProducedBy(product->input(1 - side), ir::kQeffDomain, "Linear");
    if (gate != nullptr && up != nullptr && gate->input(0) == up->input(0) &&
        HasOneUse(graph, gate->output()) && HasOneUse(graph, up->output())) {
      return Match{gate, up, kind};
    }
  }
  return std::nullopt;
}

}  // namespace

Result<Change> RaiseGatedMlp(ir::Model& model, const PassContext&) {
  ir::Graph& graph = model.graph;
  std::vector<ir::Node*> layers;
  for (const auto& node : graph.nodes()) {
    if (node->IsQeff("Linear")) layers.push_back(node.get());
  }
  Change change = Change::kNone;
  for (ir::Node* down : layers) {
    const auto match = MatchBlock(graph, *down);
    if (!match) continue;
    ir::Value* y =
        Emitter(graph, down, ScopeOf(ScopeOf(down->name())))
            .Op("GatedMlp",
                {match->gate->input(0), match->gate->input(1), match->up->input(1), down->input(1),
                 match->gate->input(2), match->up->input(2), down->input(2)},
                {{"activation", match->activation}}, ir::kQeffDomain);
    y->set_type(down->output()->type());
    graph.ReplaceAllUses(down->output(), y);
    change = Change::kChanged;
  }
  if (change == Change::kChanged) graph.DropDead();
  return change;
}

}  // namespace qeff::passes
