// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Recognizes linear layers.
//   Before:  y = Add(MatMul(x, w [K, N]), bias [N])                 After:  y = qeff.Linear(x,
//   transpose(w) [N, K], bias) Before:  y = MatMul(x, w [K, N]) After:  y = qeff.Linear(x,
//   transpose(w)) Before:  y = MatMul(x, Transpose(w [N, K]))                     After:  y =
//   qeff.Linear(x, w) Before:  y = Gemm<alpha = 1, beta = 1, transB = t>(x, w, bias)  After:  y =
//   qeff.Linear(x, w or transpose(w), bias)
// Requires: w and bias constants; x of rank >= 2.
// Leaves alone: products of computed matrices, Gemm with other factors or transA.
#include "passes/emitter.h"
#include "passes/match.h"
#include "passes/pass.h"

namespace qeff::passes {
namespace {

constexpr std::string_view kTransposedSuffix = ".transposed";

struct Match {
  ir::Value* x = nullptr;
  ir::Value* weight = nullptr;         ///< constant
  bool weight_is_input_major = false;  ///< [K, N]
  ir::Value* bias = nullptr;
};

bool IsBias(const ir::Value* value, const ir::Value* like) {
  return value->is_constant() && Rank(value) == 1 && FixedDim(value, 0) &&
         FixedDim(value, 0) == FixedDim(like, -1);
}

std::optional<Match> MatchProduct(const ir::Node& node) {
  if (node.IsOnnx("MatMul") && Rank(node.input(0)) >= 2 && Rank(node.input(1)) == 2) {
    if (node.input(1)->is_constant()) return Match{node.input(0), node.input(1), true, nullptr};
    const ir::Node* transpose = ProducedBy(node.input(1), "Transpose");
    if (IsTranspose(transpose, {1, 0}) && transpose->input(0)->is_constant()) {
      return Match{node.input(0), transpose->input(0), false, nullptr};
    }
  }
  if (node.IsOnnx("Gemm") && node.FloatAttribute("alpha", 1) == 1 &&
      node.FloatAttribute("beta", 1) == 1 && node.IntAttribute("transA", 0) == 0 &&
      node.input(1)->is_constant()) {
    ir::Value* bias = node.input(2);
    if (bias != nullptr && !IsBias(bias, node.output())) return std::nullopt;
    return Match{node.input(0), node.input(1), node.IntAttribute("transB", 0) == 0, bias};
  }
  return std::nullopt;
}

/// The weight as [N, K]: the constant itself, or its transposed recipe under the name that
/// lower-linear has given it.
ir::Value* OutputMajorWeight(ir::Graph& graph, const Match& match,
                             std::map<const ir::Value*, ir::Value*>& made) {
  if (!match.weight_is_input_major) return match.weight;
  ir::Value*& weight = made[match.weight];
  if (weight == nullptr) {
    std::string name = match.weight->name();
    if (name.ends_with(kTransposedSuffix)) name.resize(name.size() - kTransposedSuffix.size());
    weight = graph.AddConstant(name, ir::Transposed(match.weight->constant()));
  }
  return weight;
}

}  // namespace

Result<Change> RaiseLinear(ir::Model& model, const PassContext&) {
  ir::Graph& graph = model.graph;
  std::vector<ir::Node*> nodes;
  for (const auto& node : graph.nodes()) nodes.push_back(node.get());
  std::map<const ir::Value*, ir::Value*> transposed;
  Change change = Change::kNone;
  for (ir::Node* node : nodes) {
    auto match = MatchProduct(*node);
    if (!match) continue;
    ir::Node* replaced = node;
    if (match->bias == nullptr && HasOneUse(graph, node->output())) {
      ir::Node* add = node->output()->uses().front().node;
      ir::Value* bias = add->IsOnnx("Add") ? OtherInput(*add, node->output()) : nullptr;
      if (bias != nullptr && IsBias(bias, node->output())) {
        match->bias = bias;
        replaced = add;
      }
    }
    ir::Value* weight = OutputMajorWeight(graph, *match, transposed);
    ir::Value* y =
        Emitter(graph, replaced).Op("Linear", {match->x, weight, match->bias}, {}, ir::kQeffDomain);
    y->set_type(replaced->output()->type());
    graph.ReplaceAllUses(replaced->output(), y);
    change = Change::kChanged;
  }
  if (change == Change::kChanged) graph.DropDead();
  return change;
}

}  // namespace qeff::passes
