// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Turns RMS normalization into the function that the compiler knows.
//   Before:  y = qeff.RmsNorm<epsilon = e, num_groups = G>(x [B, T, G * E], gamma [E])
//   After:   y = Reshape(com.qti.aisw.onnx.CustomRMSNorm<epsilon = e>(Reshape(x, [0, 0, G, E]),
//   gamma), [0, 0, G * E])
// Without groups there are no Reshapes. The function's body multiplies by gamma in f32, so for
// another dtype x is cast to f32 before and the result back after: without the casts the body is
// not valid ONNX for f16. Requires: types of x and gamma; with groups, x of rank 3.
#include "passes/emitter.h"
#include "passes/pass.h"

namespace qeff::passes {

Result<Change> LowerRmsNorm(ir::Model& model, const PassContext&) {
  ir::Graph& graph = model.graph;
  std::vector<ir::Node*> norms;
  for (const auto& node : graph.nodes()) {
    if (node->IsQeff("RmsNorm")) norms.push_back(node.get());
  }
  for (ir::Node* node : norms) {
    const Emitter emit(graph, node);
    const int64_t groups = node->IntAttribute("num_groups", 1);
    const int64_t size = node->input(1)->type().shape->front().value();
    const DType dtype = node->input(0)->type().dtype.value_or(DType::kF32);
    ir::Value* x = node->input(0);
    if (groups > 1) x = emit.Reshape(x, {0, 0, groups, size});
    if (dtype != DType::kF32) x = emit.Cast(x, DType::kF32);
    x = emit.Op("CustomRMSNorm", {x, node->input(1)},
                {{"epsilon", node->FloatAttribute("epsilon", 0)}}, ir::kAiswDomain);
    if (dtype != DType::kF32) x = emit.Cast(x, dtype);
    if (groups > 1) x = emit.Reshape(x, {0, 0, groups * size});
    ReplaceNode(graph, node, x);
  }
  return norms.empty() ? Change::kNone : Change::kChanged;
}

}  // namespace qeff::passes
