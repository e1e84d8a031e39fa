// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Removes reshapes and transposes that undo each other.
//   Before:  y = Reshape(Reshape(x, s), t) with y of x's shape        After:  y = x
//   Before:  y = Transpose<q>(Transpose<p>(x))                        After:  y = x, or Transpose<p
//   * q>(x) Before:  y = Reshape(Reshape(x, s), t), t without zeros           After:  y =
//   Reshape(x, t) Before:  y = Reshape(x, s) or Identity(x) with y of x's shape     After:  y = x
// Requires: inferred types. A dimension counts as equal only if it is the same number or symbol.
// Leaves alone: values that are graph outputs keep the node that makes them.
#include <algorithm>

#include "passes/pass.h"

namespace qeff::passes {
namespace {

bool SameShape(const ir::Value* a, const ir::Value* b) {
  const auto& left = a->type().shape;
  const auto& right = b->type().shape;
  return left && right &&
         std::equal(left->begin(), left->end(), right->begin(), right->end(), ir::SameSize);
}

/// Returns what `node` computes from, if it computes nothing.
ir::Value* FindEqualValue(const ir::Node& node) {
  ir::Value* source = node.input(0);
  if (node.IsOnnx("Identity")) return source;
  if (node.IsOnnx("Reshape")) {
    if (SameShape(source, node.output())) return source;
    const ir::Node* inner = source->producer();
    if (inner != nullptr && inner->IsOnnx("Reshape") && SameShape(inner->input(0), node.output())) {
      return inner->input(0);
    }
  }
  return nullptr;
}

/// Merges `node` with the transpose before it. Returns the value that replaces its output, null if
/// there is none.
ir::Value* MergeTransposes(ir::Graph& graph, ir::Node* node) {
  ir::Node* inner = node->IsOnnx("Transpose") ? node->input(0)->producer() : nullptr;
  if (inner == nullptr || !inner->IsOnnx("Transpose")) return nullptr;
  const std::vector<int64_t> first = inner->IntsAttribute("perm");
  std::vector<int64_t> merged = node->IntsAttribute("perm");
  if (first.size() != merged.size() || first.empty()) return nullptr;
  bool identity = true;
  for (size_t i = 0; i < merged.size(); ++i) {
    merged[i] = first[static_cast<size_t>(merged[i])];
    identity &= merged[i] == static_cast<int64_t>(i);
  }
  if (identity) return inner->input(0);
  return graph.Add({.op_type = "Transpose",
                    .inputs = {inner->input(0)},
                    .attributes = {{"perm", merged}},
                    .name = node->name()},
                   node);
}

/// Reshape(Reshape(x, s), t) -> Reshape(x, t) where t does not refer to s.
bool SkipInnerReshape(ir::Node* node) {
  const ir::Node* inner = node->IsOnnx("Reshape") ? node->input(0)->producer() : nullptr;
  if (inner == nullptr || !inner->IsOnnx("Reshape")) return false;
  const auto dims = ir::ConstantInts(node->input(1));
  if (!dims || std::find(dims->begin(), dims->end(), 0) != dims->end()) return false;
  node->SetInput(0, inner->input(0));
  return true;
}

}  // namespace

Result<Change> FoldReshapes(ir::Model& model, const PassContext&) {
  ir::Graph& graph = model.graph;
  Change change = Change::kNone;
  bool again = true;
  while (again) {
    again = false;
    std::vector<ir::Node*> nodes;
    for (const auto& node : graph.nodes()) nodes.push_back(node.get());
    for (ir::Node* node : nodes) {
      if (node->outputs().size() != 1) continue;
      if (SkipInnerReshape(node)) again = true;
      if (!graph.IsUsed(node->output()) || graph.IsOutput(node->output())) continue;
      ir::Value* equal = FindEqualValue(*node);
      if (equal == nullptr) equal = MergeTransposes(graph, node);
      if (equal == nullptr) continue;
      if (!equal->type().shape) equal->set_type(node->output()->type());
      graph.ReplaceAllUses(node->output(), equal);
      again = true;
    }
    if (again) {
      graph.DropDead();
      change = Change::kChanged;
    }
  }
  return change;
}

}  // namespace qeff::passes
