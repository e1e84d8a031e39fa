// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Removes nodes that pass their input on.
//   Before:  y = Identity(x), y = Cast<to = f32>(x f32), y = Dropout(x) in inference, y =
//   Mul(x, 1.0), y = Add(x, 0.0), y = Slice<step 1>(x) or Expand(x) of x's own shape After:   x
// Mul and Add only with a scalar constant of x's own dtype: the shape stays.
// Leaves alone: a node that makes a graph output from a graph input, which would lose its name.
#include <algorithm>

#include "passes/match.h"
#include "passes/pass.h"

namespace qeff::passes {
namespace {

/// True if both have the same shape and no dimension is unknown.
bool HasSameKnownShape(const ir::Value* a, const ir::Value* b) {
  const auto& left = a->type().shape;
  const auto& right = b->type().shape;
  if (!left || !right || left->size() != right->size()) return false;
  for (size_t i = 0; i < left->size(); ++i) {
    if ((*left)[i].is_unknown() || !ir::SameSize((*left)[i], (*right)[i])) return false;
  }
  return true;
}

bool TakesEveryElement(const ir::Node& slice) {
  if (slice.input(4) == nullptr) return true;
  const auto steps = ir::ConstantInts(slice.input(4));
  return steps && std::all_of(steps->begin(), steps->end(), [](int64_t s) { return s == 1; });
}

ir::Value* PassedOn(const ir::Node& node) {
  ir::Value* x = node.input(0);
  if (node.IsOnnx("Identity")) return x;
  if (node.IsOnnx("Cast") && x->type().dtype && x->type().dtype == node.output()->type().dtype)
    return x;
  if ((node.IsOnnx("Slice") && TakesEveryElement(node)) || node.IsOnnx("Expand")) {
    return HasSameKnownShape(x, node.output()) ? x : nullptr;
  }
  if (node.IsOnnx("Dropout") && node.input(2) == nullptr) return x;
  if (node.IsOnnx("Mul") || node.IsOnnx("Add")) {
    const auto operand = FindScalarOperand(node);
    const float neutral = node.IsOnnx("Mul") ? 1.0F : 0.0F;
    if (operand && operand->scalar == neutral && !operand->other->is_constant() &&
        Rank(operand->other) >= 1) {
      return operand->other;
    }
  }
  return nullptr;
}

}  // namespace

Result<Change> DropNoopNodes(ir::Model& model, const PassContext&) {
  ir::Graph& graph = model.graph;
  std::vector<ir::Node*> nodes;
  for (const auto& node : graph.nodes()) nodes.push_back(node.get());
  Change change = Change::kNone;
  for (ir::Node* node : nodes) {
    ir::Value* source = PassedOn(*node);
    if (source == nullptr || (graph.IsOutput(node->output()) && source->producer() == nullptr))
      continue;
    const std::string name = node->output()->name();
    const bool is_output = graph.IsOutput(node->output());
    graph.ReplaceAllUses(node->output(), source);
    graph.EraseNode(node);
    if (is_output) graph.RenameValue(source, name);
    change = Change::kChanged;
  }
  return change;
}

}  // namespace qeff::passes
