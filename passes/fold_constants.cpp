// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Evaluates what depends on constants only.
//   Before:  slots = Unsqueeze(Range(0, 128, 1), [0, 1])                After:  slots = a constant
//   [1, 1, 128] Before:  w2 = Transpose(w) or Cast(w), w a weight                   After:  w2 = a
//   weight with another recipe Before:  y = Where(true, a, b), a of the result's shape After:  y =
//   a
// Small results are computed by the ops' reference meaning; of weights only the recipe changes,
// nothing is read. Option: scalars = 1 (fold results and inputs of one element only: numbers that
// exporters let the graph compute, while weights keep the form that patterns look for). Leaves
// alone: results of more than 2^20 elements that are not recipes, and
// random or stateful ops (there are none).
#include <algorithm>

#include "lib/ops/op.h"
#include "passes/match.h"
#include "passes/pass.h"

namespace qeff::passes {
namespace {

constexpr int64_t kMostElements = int64_t{1} << 20;

bool IsSmall(const ir::Value* value, int64_t most_elements = kMostElements) {
  return value->constant()->element_count() <= most_elements;
}

/// The weight that `node` makes of a weight by moving or converting its elements; null for other
/// nodes.
ir::WeightPtr FoldRecipe(const ir::Node& node) {
  const ir::WeightPtr& source = node.input(0)->constant();
  const auto& shape = node.output()->type().shape;
  const auto dims = shape ? ir::StaticDims(*shape) : std::nullopt;
  if (!dims) return nullptr;
  if (node.IsOnnx("Transpose")) return ir::Transposed(source, node.IntsAttribute("perm"));
  if (node.IsOnnx("Reshape") || node.IsOnnx("Unsqueeze") || node.IsOnnx("Squeeze"))
    return ir::Reshaped(source, *dims);
  const auto dtype = node.output()->type().dtype;
  if (node.IsOnnx("Cast") && dtype && IsFloat(*dtype) && IsFloat(source->dtype()))
    return ir::Converted(source, *dtype);
  return nullptr;
}

Result<ir::WeightPtr> Evaluate(const ir::Node& node) {
  std::vector<ops::Tensor> tensors;
  tensors.reserve(node.inputs().size());
  std::vector<const ops::Tensor*> inputs;
  for (const ir::Value* input : node.inputs()) {
    if (input == nullptr) {
      inputs.push_back(nullptr);
      continue;
    }
    QEFF_ASSIGN_OR_RETURN(ops::Tensor tensor, ops::TensorFromWeight(*input->constant()));
    tensors.push_back(std::move(tensor));
    inputs.push_back(&tensors.back());
  }
  QEFF_ASSIGN_OR_RETURN(std::vector<ops::Tensor> outputs, ops::EvaluateNode(node, inputs));
  const ops::Tensor& result = outputs.front();
  std::vector<std::byte> bytes(
      static_cast<size_t>(DTypeBytes(result.dtype, result.element_count())));
  QEFF_RETURN_IF_ERROR(ops::TensorToBytes(result, bytes));
  return ir::MakeInline(result.dtype, result.dims, std::move(bytes));
}

/// The branch of a Where whose condition is one constant; null if it is not, or the branch is
/// broadcast.
ir::Value* ChosenBranch(const ir::Node& node) {
  if (!node.IsOnnx("Where") || !node.input(0)->is_constant() || !IsSmall(node.input(0)))
    return nullptr;
  const auto condition = ir::ConstantInts(node.input(0));
  if (!condition || condition->empty()) return nullptr;
  if (std::any_of(condition->begin(), condition->end(),
                  [&](int64_t c) { return c != condition->front(); }))
    return nullptr;
  ir::Value* branch = node.input(condition->front() != 0 ? 1 : 2);
  return branch->type().shape && branch->type() == node.output()->type() ? branch : nullptr;
}

Result<ir::WeightPtr> FoldNode(const ir::Node& node, bool only_scalars) {
  const int64_t most_elements = only_scalars ? 1 : kMostElements;
  if (node.outputs().size() != 1 || node.inputs().empty()) return ir::WeightPtr();
  bool all_small = true;
  for (const ir::Value* input : node.inputs()) {
    if (input == nullptr) continue;
    if (!input->is_constant()) return ir::WeightPtr();
    all_small &= IsSmall(input, most_elements);
  }
  if (ir::WeightPtr recipe = only_scalars ? nullptr : FoldRecipe(node)) {
    if (!all_small || !std::holds_alternative<ir::InlineBytes>(node.input(0)->constant()->recipe()))
      return recipe;
  }
  const auto& shape = node.output()->type().shape;
  const auto dims = shape ? ir::StaticDims(*shape) : std::nullopt;
  if (!all_small || !dims || ir::ElementCount(*dims) > most_elements) return ir::WeightPtr();
  return Evaluate(node);
}

}  // namespace

Result<Change> FoldConstants(ir::Model& model, const PassContext& context) {
  ir::Graph& graph = model.graph;
  const bool only_scalars = context.Option("scalars") == "1";
  std::vector<ir::Node*> nodes;
  for (const auto& node : graph.nodes()) nodes.push_back(node.get());
  Change change = Change::kNone;
  for (ir::Node* node : nodes) {
    if (!graph.IsUsed(node->output()) || graph.IsOutput(node->output())) continue;
    ir::Value* replacement = ChosenBranch(*node);
    if (replacement == nullptr) {
      QEFF_ASSIGN_OR_RETURN(ir::WeightPtr weight, FoldNode(*node, only_scalars));
      if (weight == nullptr) continue;
      replacement = graph.AddConstant(node->output()->name() + "_folded", std::move(weight));
    }
    graph.ReplaceAllUses(node->output(), replacement);
    change = Change::kChanged;
  }
  if (change == Change::kChanged) graph.DropDead();
  return change;
}

}  // namespace qeff::passes
