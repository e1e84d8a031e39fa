// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/reference/graph_evaluator.h"

namespace qeff::reference {

Result<const ops::Tensor*> WeightStore::Load(const ir::WeightPtr& weight) {
  if (const auto found = loaded_.find(weight.get()); found != loaded_.end()) {
    return &found->second.tensor;
  }
  QEFF_ASSIGN_OR_RETURN(ops::Tensor tensor, ops::TensorFromWeight(*weight));
  const auto added = loaded_.emplace(weight.get(), Loaded{weight, std::move(tensor)});
  return &added.first->second.tensor;
}

Result<GraphEvaluator> GraphEvaluator::Make(const ir::Graph& graph, WeightStore& weights) {
  QEFF_RETURN_IF_ERROR(ir::VerifyStructure(graph));
  GraphEvaluator evaluator(graph);
  for (const ir::Value* constant : graph.constants()) {
    Result<const ops::Tensor*> tensor = weights.Load(constant->constant());
    if (!tensor.ok()) {
      Diagnostic diagnostic = tensor.diagnostic();
      diagnostic.where.tensor = constant->name();
      return Status(std::move(diagnostic));
    }
    evaluator.constants_[constant] = *tensor;
  }
  for (const auto& node : graph.nodes()) {
    // An output that nobody reads goes at once.
    for (const ir::Value* output : node->outputs()) evaluator.last_uses_[output] = node.get();
    for (const ir::Value* input : node->inputs()) {
      if (input != nullptr) evaluator.last_uses_[input] = node.get();
    }
  }
  for (const ir::GraphOutput& output : graph.outputs()) evaluator.last_uses_.erase(output.value);
  return evaluator;
}

Status GraphEvaluator::CheckInput(const ir::Value& input, const NamedTensors& inputs) const {
  const Location where = Location::Tensor("", input.name());
  const auto found = inputs.find(input.name());
  if (found == inputs.end()) return InvalidInput(where, "graph input is missing");
  const ops::Tensor& tensor = found->second;
  const ir::TensorType& type = input.type();
  bool fits = !type.dtype || type.dtype == tensor.dtype;
  if (type.shape) {
    fits = fits && type.shape->size() == tensor.dims.size();
    for (size_t axis = 0; fits && axis < tensor.dims.size(); ++axis) {
      const ir::Dim& dim = (*type.shape)[axis];
      fits = !dim.is_number() || dim.value() == tensor.dims[axis];
    }
  }
  if (fits) return Status::Ok();
  return InvalidInput(where,
                      fmt::format("expected {}, got {}", type.ToString(), tensor.TypeText()));
}

Result<NamedTensors> GraphEvaluator::Run(const NamedTensors& inputs) const {
  std::unordered_map<const ir::Value*, const ops::Tensor*> values = constants_;
  std::unordered_map<const ir::Value*, ops::Tensor> made;
  for (const ir::Value* input : graph_->inputs()) {
    QEFF_RETURN_IF_ERROR(CheckInput(*input, inputs));
    values[input] = &inputs.find(input->name())->second;
  }
  int64_t index = 0;
  for (const auto& node : graph_->nodes()) {
    std::vector<const ops::Tensor*> operands;
    for (const ir::Value* input : node->inputs()) {
      operands.push_back(input == nullptr ? nullptr : values.at(input));
    }
    Result<std::vector<ops::Tensor>> results = ops::EvaluateNode(*node, operands);
    if (!results.ok()) {
      Diagnostic diagnostic = results.diagnostic();
      diagnostic.where.node_index = index;
      return Status(std::move(diagnostic));
    }
    for (size_t i = 0; i < results->size(); ++i) {
      const ir::Value* output = node->outputs()[i];
      values[output] = &(made[output] = std::move((*results)[i]));
    }
    const auto drop = [&](const ir::Value* value) {
      const auto last = value == nullptr ? last_uses_.end() : last_uses_.find(value);
      if (last != last_uses_.end() && last->second == node.get()) made.erase(value);
    };
    for (const ir::Value* input : node->inputs()) drop(input);
    for (const ir::Value* output : node->outputs()) drop(output);
    ++index;
  }
  NamedTensors outputs;
  for (const ir::GraphOutput& output : graph_->outputs()) {
    outputs[output.name] = *values.at(output.value);
  }
  return outputs;
}

}  // namespace qeff::reference
