// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Spells out routed experts: the weights of the experts of each choice are gathered, and all
// choices are multiplied in one batch.
//   Before:  y = qeff.Experts<activation = a, limit = l, up_offset = o>(x [B, T, D], ids [B, T, k],
//            weights, gate [X, F, D], up, down [X, D, F], gate_bias [X, F], up_bias, down_bias)
//   After:   e = Reshape(ids, [-1])
//            v = Reshape(Expand(Reshape(x, [-1, 1, D]), [1, k, 1]), [-1, 1, D])
//            g = Add(MatMul(v, Gather(gate.transposed [X, D, F], e)),
//                    Unsqueeze(Gather(gate_bias, e), [1]));  u with up likewise
//            h = Mul(qeff.Activation<kind = a>(Clip(g, , l)), Add(Clip(u, -l, l), o))
//            d = Reshape(MatMul(h, Gather(down.transposed [X, F, D], e)), [-1, k, D])
//            y = Reshape(ReduceSum(Mul(d, Reshape(weights, [-1, k, 1])), [1]), Shape(x))
// With weights_scale_inputs = 1, Mul stands at v instead. Runs before lower-activation. The form is
// that of the original exporter: weights of every choice are copied, so it is meant for few tokens
// at a time.
#include "passes/emitter.h"
#include "passes/match.h"
#include "passes/pass.h"

namespace qeff::passes {
namespace {

class ExpertsLowering {
 public:
  ExpertsLowering(ir::Graph& graph, ir::Node* node, int64_t choices, int64_t width)
      : graph_(graph), node_(node), emit_(graph, node), choices_(choices), width_(width) {}

  ir::Value* Lower() {
    ids_ = emit_.Reshape(node_->input(1), {-1});
    const bool scales_inputs = node_->IntAttribute("weights_scale_inputs", 0) != 0;
    ir::Value* rows = Rows();
    if (scales_inputs) {
      rows = emit_.Op("Mul", {rows, emit_.Reshape(node_->input(2), {-1, 1, 1})});
    }
    ir::Value* gate = Multiply(rows, 3, 6);
    ir::Value* up = Multiply(rows, 4, 7);
    const float limit = node_->FloatAttribute("limit", 0);
    if (limit > 0) {
      gate = emit_.Op("Clip", {gate, nullptr, Scalar(limit)});
      up = emit_.Op("Clip", {up, Scalar(-limit), Scalar(limit)});
    }
    gate = emit_.Op("Activation", {gate}, {{"kind", node_->StringAttribute("activation", "")}},
                    ir::kQeffDomain);
    const float offset = node_->FloatAttribute("up_offset", 0);
    if (offset != 0) up = emit_.Op("Add", {up, Scalar(offset)});
    ir::Value* y = Multiply(emit_.Op("Mul", {gate, up}), 5, 8);
    y = emit_.Reshape(y, {-1, choices_, width_});
    if (!scales_inputs) {
      y = emit_.Op("Mul", {y, emit_.Reshape(node_->input(2), {-1, choices_, 1})});
    }
    y = emit_.Op("ReduceSum", {y, emit_.Ints({1})}, {{"keepdims", int64_t{0}}});
    return emit_.Op("Reshape", {y, emit_.Op("Shape", {node_->input(0)})});
  }

 private:
  /// Each row of x once for each of its choices: [N * k, 1, D].
  ir::Value* Rows() {
    ir::Value* rows = emit_.Reshape(node_->input(0), {-1, 1, width_});
    if (choices_ == 1) return rows;
    rows = emit_.Op("Expand", {rows, emit_.Ints({1, choices_, 1})});
    return emit_.Reshape(rows, {-1, 1, width_});
  }

  ir::Value* Multiply(ir::Value* rows, size_t weight, size_t bias) {
    ir::Value* product = emit_.Op("MatMul", {rows, Gather(InputMajor(node_->input(weight)))});
    if (node_->input(bias) == nullptr) return product;
    return emit_.Op("Add", {product, emit_.Unsqueeze(Gather(node_->input(bias)), {1})});
  }

  ir::Value* Gather(ir::Value* stack) {
    return emit_.Op("Gather", {stack, ids_}, {{"axis", int64_t{0}}});
  }

  ir::Value* InputMajor(ir::Value* stack) {
    if (!stack->is_constant()) return emit_.Transpose(stack, {0, 2, 1});
    return graph_.AddConstant(stack->name() + ".transposed",
                              ir::Transposed(stack->constant(), {0, 2, 1}));
  }

  ir::Value* Scalar(float value) const {
    const DType dtype = node_->input(0)->type().dtype.value_or(DType::kF32);
    if (dtype == DType::kF32) return emit_.Float(value);
    return graph_.AddConstant(fmt::format("{}_{}", DTypeName(dtype), value),
                              ir::Converted(ir::MakeFloatScalar(value), dtype));
  }

  ir::Graph& graph_;
  ir::Node* node_;
  Emitter emit_;
  int64_t choices_;
  int64_t width_;
  ir::Value* ids_ = nullptr;
};

}  // namespace

Result<Change> LowerExperts(ir::Model& model, const PassContext&) {
  ir::Graph& graph = model.graph;
  std::vector<ir::Node*> blocks;
  for (const auto& node : graph.nodes()) {
    if (node->IsQeff("Experts")) blocks.push_back(node.get());
  }
  for (ir::Node* node : blocks) {
    const auto choices = FixedDim(node->input(1), -1);
    const auto width = FixedDim(node->input(0), -1);
    if (!choices || !width) {
      return Unsupported(Location::Node(model.path, node->name()),
                         "experts without a fixed number of choices and channels");
    }
    ReplaceNode(graph, node, ExpertsLowering(graph, node, *choices, *width).Lower());
  }
  if (!blocks.empty()) graph.DropDead();
  return blocks.empty() ? Change::kNone : Change::kChanged;
}

}  // namespace qeff::passes
