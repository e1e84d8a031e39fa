// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Computes the outputs of a whole graph by the reference meaning of its ops, node after node. Slow
// and plain: the oracle of tests, and how the reference backend runs a model.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "lib/ir/graph.h"
#include "lib/ops/op.h"

namespace qeff::reference {

/// Weights in memory, each recipe once however many graphs use it. Shared by evaluators of one
/// thread.
class WeightStore {
 public:
  /// Errors: those of ops::TensorFromWeight.
  Result<const ops::Tensor*> Load(const ir::WeightPtr& weight);

 private:
  struct Loaded {
    ir::WeightPtr weight;  // keeps the key's address in use
    ops::Tensor tensor;
  };
  std::unordered_map<const ir::Weight*, Loaded> loaded_;
};

/// Values by name of a graph input or output.
using NamedTensors = std::map<std::string, ops::Tensor, std::less<>>;

class GraphEvaluator {
 public:
  /// Loads the weights. `graph` and `weights` must outlive the evaluator.
  static Result<GraphEvaluator> Make(const ir::Graph& graph, WeightStore& weights);

  /// Returns all outputs of the graph. Every input of the graph must be given, with its dtype, and
  /// with dims that fit its type. Memory: values are let go after their last use. Errors:
  /// kInvalidInput for an input that is missing or does not fit, or an index out of range, with the
  /// node's place.
  Result<NamedTensors> Run(const NamedTensors& inputs) const;

 private:
  GraphEvaluator(const ir::Graph& graph) : graph_(&graph) {}
  Status CheckInput(const ir::Value& input, const NamedTensors& inputs) const;

  const ir::Graph* graph_;
  std::unordered_map<const ir::Value*, const ops::Tensor*> constants_;
  /// The node after which a value is not needed any more.
  std::unordered_map<const ir::Value*, const ir::Node*> last_uses_;
};

}  // namespace qeff::reference
