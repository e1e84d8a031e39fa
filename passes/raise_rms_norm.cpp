// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Recognizes RMS normalization, as the compiler's function or spelled out.
//   Before:  y = com.qti.aisw.onnx.CustomRMSNorm<epsilon = e>(x, gamma)
//   After:   y = qeff.RmsNorm<epsilon = e>(x, gamma)
//   Before:  y = CustomRMSNorm<epsilon = e>(Reshape(x, [0, 0, G, E]), gamma)
//   After:   y = Reshape(qeff.RmsNorm<epsilon = e, num_groups = G>(x, gamma), [0, 0, G, E])
//   Before:  y = qeff.RmsNorm<epsilon = e>(Reshape(x, [0, 0, G, E]), gamma)        After:   as
//   above Before:  v = ReduceMean<-1>(Pow(x, 2) or Mul(x, x))  r = Sqrt(Add(v, e))  y = Mul(gamma,
//   Div(x, r) or Mul(x, Reciprocal(r))) After:   y = qeff.RmsNorm<epsilon = e>(x, gamma)
// Casts to f32 around it that lower-rms-norm writes for other dtypes are taken in:
//   Before:  y = Cast<d>(CustomRMSNorm(Cast<f32>(x), gamma)) with x of dtype d      After:  y =
//   qeff.RmsNorm(x, gamma)
// Requires: gamma a constant [E], the size of the last axis.
// Leaves alone: normalization over several axes, and gamma computed at run time.
#include "passes/emitter.h"
#include "passes/match.h"
#include "passes/pass.h"

namespace qeff::passes {
namespace {

struct Match {
  ir::Value* x = nullptr;
  ir::Value* gamma = nullptr;
  float epsilon = 0;
};

/// x / sqrt(mean(x^2) + e), however the division is written: returns x and e.
std::optional<Match> MatchNormalized(const ir::Value* value) {
  ir::Node* node = value->producer();
  if (node == nullptr || (!node->IsOnnx("Div") && !node->IsOnnx("Mul"))) return std::nullopt;
  for (const size_t side : {size_t{1}, size_t{0}}) {
    ir::Value* x = node->input(1 - side);
    const ir::Value* root = node->input(side);
    if (node->IsOnnx("Mul")) {
      const ir::Node* reciprocal = ProducedBy(root, "Reciprocal");
      const ir::Node* quotient = ProducedBy(root, "Div");
      if (reciprocal != nullptr) {
        root = reciprocal->input(0);
      } else if (quotient != nullptr && ir::ConstantFloat(quotient->input(0)) == 1.0F) {
        root = quotient->input(1);
      } else {
        continue;
      }
    } else if (side == 0) {
      continue;
    }
    const ir::Node* sqrt = ProducedBy(root, "Sqrt");
    const ir::Node* add = sqrt ? ProducedBy(sqrt->input(0), "Add") : nullptr;
    const auto epsilon = add ? FindScalarOperand(*add) : std::nullopt;
    const ir::Node* mean = epsilon ? ProducedBy(epsilon->other, "ReduceMean") : nullptr;
    if (mean == nullptr || mean->IntAttribute("keepdims", 1) != 1) continue;
    const std::vector<int64_t> axes = mean->IntsAttribute("axes");
    if (axes.size() != 1 || (axes[0] != -1 && axes[0] != Rank(x) - 1)) continue;
    const ir::Node* square = mean->input(0)->producer();
    if (square == nullptr) continue;
    const bool is_square =
        (square->IsOnnx("Mul") && square->input(0) == x && square->input(1) == x) ||
        (square->IsOnnx("Pow") && square->input(0) == x &&
         (ir::ConstantFloat(square->input(1)) == 2.0F || ir::ConstantInt(square->input(1)) == 2));
    if (is_square) return Match{x, nullptr, epsilon->scalar};
  }
  return std::nullopt;
}

std::optional<Match> MatchNorm(const ir::Node& node) {
  if (node.Is(ir::kAiswDomain, "CustomRMSNorm")) {
    return Match{node.input(0), node.input(1), node.FloatAttribute("epsilon", 0)};
  }
  if (node.IsQeff("RmsNorm") && node.IntAttribute("num_groups", 1) == 1) {
    return Match{node.input(0), node.input(1), node.FloatAttribute("epsilon", 0)};
  }
  if (!node.IsOnnx("Mul")) return std::nullopt;
  for (const size_t side : {size_t{0}, size_t{1}}) {
    ir::Value* gamma = node.input(side);
    if (!gamma->is_constant() || Rank(gamma) != 1) continue;
    if (auto match = MatchNormalized(node.input(1 - side))) {
      match->gamma = gamma;
      return match;
    }
  }
  return std::nullopt;
}

}  // namespace

Result<Change> RaiseRmsNorm(ir::Model& model, const PassContext&) {
  ir::Graph& graph = model.graph;
  std::vector<ir::Node*> nodes;
  for (const auto& node : graph.nodes()) nodes.push_back(node.get());
  Change change = Change::kNone;
  for (ir::Node* node : nodes) {
    auto match = MatchNorm(*node);
    if (!match || !match->gamma->is_constant() || Rank(match->gamma) != 1 ||
        FixedDim(match->gamma, 0) != FixedDim(match->x, -1) || !FixedDim(match->x, -1)) {
      continue;
    }
    ir::Node* replaced = node;
    const ir::Node* widening = ProducedBy(match->x, "Cast");
    if (widening != nullptr && HasOneUse(graph, node->output())) {
      ir::Node* narrowing = node->output()->uses().front().node;
      if (narrowing->IsOnnx("Cast") &&
          narrowing->output()->type().dtype == widening->input(0)->type().dtype) {
        match->x = widening->input(0);
        replaced = narrowing;
      }
    }
    const Emitter emit(graph, replaced);
    ir::AttributeMap attributes = {{"epsilon", match->epsilon}};
    const ir::Node* split = ProducedBy(match->x, "Reshape");
    const bool grouped =
        split != nullptr && Rank(match->x) == 4 && Rank(split->input(0)) == 3 &&
        FixedDim(match->x, 2) && FixedDim(split->input(0), 2) &&
        *FixedDim(match->x, 2) * *FixedDim(match->x, 3) == *FixedDim(split->input(0), 2);
    if (!grouped && node->IsQeff("RmsNorm")) continue;
    ir::Value* y = nullptr;
    if (grouped) {
      const int64_t groups = *FixedDim(match->x, 2);
      attributes["num_groups"] = groups;
      y = emit.Op("RmsNorm", {split->input(0), match->gamma}, attributes, ir::kQeffDomain);
      y = emit.Reshape(y, {0, 0, groups, *FixedDim(match->x, 3)});
    } else {
      y = emit.Op("RmsNorm", {match->x, match->gamma}, attributes, ir::kQeffDomain);
    }
    y->set_type(replaced->output()->type());
    graph.ReplaceAllUses(replaced->output(), y);
    change = Change::kChanged;
  }
  if (change == Change::kChanged) graph.DropDead();
  return change;
}

}  // namespace qeff::passes
