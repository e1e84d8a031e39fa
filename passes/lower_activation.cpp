// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Spells out activation functions in ONNX ops, by the formulas of transformers' ACT2FN.
//   Before:  y = qeff.Activation<kind = "silu">(x)
//   After:   y = Mul(x, Sigmoid(x))
//   gelu: x * 0.5 * (1 + Erf(x / sqrt 2))       gelu_new, gelu_pytorch_tanh, gelu_fast,
//   gelu_accurate: the tanh form quick_gelu: x * Sigmoid(1.702 x)            relu2: Relu(x)^2
//   relu6: Clip(x, 0, 6)      mish: x * Tanh(Softplus(x)) leaky_relu, elu, selu, celu, softplus,
//   hardswish: ONNX's own ops   laplace: 0.5 (1 + Erf((x - mu) / (sigma sqrt 2)))
// Constants are f32; for another dtype they are converted. An unknown kind is an error that names
// it.
#include <cmath>
#include <map>
#include <numbers>

#include "passes/emitter.h"
#include "passes/pass.h"

namespace qeff::passes {
namespace {

class ActivationEmitter {
 public:
  ActivationEmitter(const Emitter& emit, ir::Value* x)
      : emit_(emit), x_(x), dtype_(x->type().dtype.value_or(DType::kF32)) {}

  /// Null for an unknown kind.
  ir::Value* Emit(std::string_view kind) const {
    if (kind == "silu" || kind == "swish") return Mul(x_, emit_.Op("Sigmoid", {x_}));
    if (kind == "gelu" || kind == "gelu_python") return Gelu();
    if (kind == "gelu_new" || kind == "gelu_pytorch_tanh" || kind == "gelu_fast" ||
        kind == "gelu_python_tanh" || kind == "gelu_accurate") {
      return GeluTanh();
    }
    if (kind == "gelu_10") return emit_.Op("Clip", {Gelu(), Scalar(-10), Scalar(10)});
    if (kind == "quick_gelu") return Mul(x_, emit_.Op("Sigmoid", {Mul(x_, Scalar(1.702F))}));
    if (kind == "relu") return emit_.Op("Relu", {x_});
    if (kind == "relu2") {
      ir::Value* positive = emit_.Op("Relu", {x_});
      return Mul(positive, positive);
    }
    if (kind == "relu6") return emit_.Op("Clip", {x_, Scalar(0), Scalar(6)});
    if (kind == "sigmoid") return emit_.Op("Sigmoid", {x_});
    if (kind == "tanh") return emit_.Op("Tanh", {x_});
    if (kind == "linear") return emit_.Op("Identity", {x_});
    if (kind == "mish") return Mul(x_, emit_.Op("Tanh", {emit_.Op("Softplus", {x_})}));
    if (kind == "leaky_relu") return emit_.Op("LeakyRelu", {x_}, {{"alpha", 0.01F}});
    if (kind == "elu") return emit_.Op("Elu", {x_}, {{"alpha", 1.0F}});
    if (kind == "softplus") return emit_.Op("Softplus", {x_});
    if (kind == "hardswish") return emit_.Op("HardSwish", {x_});
    if (kind == "laplace") {
      ir::Value* scaled = emit_.Op("Div", {emit_.Op("Sub", {x_, Scalar(0.707107F)}),
                                           Scalar(0.282095F * std::numbers::sqrt2_v<float>)});
      return Mul(Scalar(0.5F), emit_.Op("Add", {emit_.Op("Erf", {scaled}), Scalar(1)}));
    }
    return nullptr;
  }

 private:
  ir::Value* Mul(ir::Value* a, ir::Value* b) const { return emit_.Op("Mul", {a, b}); }
  ir::Value* Scalar(float value) const {
    if (dtype_ == DType::kF32) return emit_.Float(value);
    return emit_.graph().AddConstant(fmt::format("{}_{}", DTypeName(dtype_), value),
                                     ir::Converted(ir::MakeFloatScalar(value), dtype_));
  }
  ir::Value* Gelu() const {
    ir::Value* error =
        emit_.Op("Erf", {emit_.Op("Div", {x_, Scalar(std::numbers::sqrt2_v<float>)})});
    return Mul(Mul(x_, emit_.Op("Add", {error, Scalar(1)})), Scalar(0.5F));
  }
  ir::Value* GeluTanh() const {
    ir::Value* cube = emit_.Op("Mul", {Mul(x_, x_), x_});
    ir::Value* inner = emit_.Op("Add", {x_, Mul(cube, Scalar(0.044715F))});
    const float factor = std::sqrt(2.0F * std::numbers::inv_pi_v<float>);
    ir::Value* tanh = emit_.Op("Tanh", {Mul(inner, Scalar(factor))});
    return Mul(Mul(x_, emit_.Op("Add", {tanh, Scalar(1)})), Scalar(0.5F));
  }

  const Emitter& emit_;
  ir::Value* x_;
  DType dtype_;
};

}  // namespace

Result<Change> LowerActivation(ir::Model& model, const PassContext&) {
  std::vector<ir::Node*> activations;
  for (const auto& node : model.graph.nodes()) {
    if (node->IsQeff("Activation")) activations.push_back(node.get());
  }
  for (ir::Node* node : activations) {
    const std::string kind = node->StringAttribute("kind", "");
    const Emitter emit(model.graph, node);
    ir::Value* y = ActivationEmitter(emit, node->input(0)).Emit(kind);
    if (y == nullptr) {
      return Unsupported(Location::Node("", node->name()),
                         fmt::format("no lowering for activation '{}'", kind));
    }
    ReplaceNode(model.graph, node, y);
  }
  return activations.empty() ? Change::kNone : Change::kChanged;
}

}  // namespace qeff::passes
