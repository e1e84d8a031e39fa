// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Recognizes activation functions that are spelled out in ONNX ops.
//   Before:  y = Mul(x, Sigmoid(x))                                            After:  y =
//   qeff.Activation<kind = "silu">(x) Before:  y = Mul(x, Sigmoid(Mul(x, 1.702))) After: quick_gelu
//   Before:  y = x * 0.5 * (1 + Erf(x / sqrt 2)), factors in any order         After:  gelu
//   Before:  y = x * 0.5 * (1 + Tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))       After:
//   gelu_pytorch_tanh Before:  y = Mul(r, r), r = Relu(x) After:  relu2
// Leaves alone: Relu, Tanh, Sigmoid alone: they are one op already.
#include <cmath>
#include <numbers>

#include "passes/emitter.h"
#include "passes/match.h"
#include "passes/pass.h"

namespace qeff::passes {
namespace {

bool Near(float a, float b) { return std::fabs(a - b) <= 1e-5F * std::fabs(b); }

/// The factors of a product of products, scalars apart.
struct Product {
  float scalar = 1;
  std::vector<ir::Value*> factors;
};

void CollectFactors(ir::Value* value, int depth, Product& product) {
  const ir::Node* node = ProducedBy(value, "Mul");
  if (const auto scalar = ir::ConstantFloat(value)) {
    product.scalar *= *scalar;
  } else if (node != nullptr && depth > 0) {
    CollectFactors(node->input(0), depth - 1, product);
    CollectFactors(node->input(1), depth - 1, product);
  } else {
    product.factors.push_back(value);
  }
}

/// If `value` is f(...) + 1 with f = `op_type`, returns the op's argument.
ir::Value* ArgumentPlusOne(const ir::Value* value, std::string_view op_type) {
  const ir::Node* add = ProducedBy(value, "Add");
  const auto operand = add ? FindScalarOperand(*add) : std::nullopt;
  const ir::Node* function =
      operand && operand->scalar == 1 ? ProducedBy(operand->other, op_type) : nullptr;
  return function ? function->input(0) : nullptr;
}

/// True if `value` is x times `factor`, written as Mul or as Div by its inverse.
bool IsScaled(const ir::Value* value, const ir::Value* x, float factor) {
  const ir::Node* node = value->producer();
  const auto operand = node ? FindScalarOperand(*node) : std::nullopt;
  if (!operand || operand->other != x) return false;
  if (node->IsOnnx("Mul")) return Near(operand->scalar, factor);
  return node->IsOnnx("Div") && node->input(0) == x && Near(operand->scalar, 1 / factor);
}

/// True if `value` is x^3.
bool IsCube(ir::Value* value, const ir::Value* x) {
  if (const ir::Node* pow = ProducedBy(value, "Pow")) {
    return pow->input(0) == x &&
           (ir::ConstantFloat(pow->input(1)) == 3.0F || ir::ConstantInt(pow->input(1)) == 3);
  }
  Product product;
  CollectFactors(value, 2, product);
  return product.scalar == 1 &&
         product.factors == std::vector<ir::Value*>(3, const_cast<ir::Value*>(x));
}

/// True if `value` is sqrt(2 / pi) * (x + 0.044715 * x^3).
bool IsTanhArgument(const ir::Value* value, const ir::Value* x) {
  const ir::Node* scale = ProducedBy(value, "Mul");
  const auto scaled = scale ? FindScalarOperand(*scale) : std::nullopt;
  if (!scaled || !Near(scaled->scalar, std::sqrt(2 * std::numbers::inv_pi_v<float>))) return false;
  const ir::Node* sum = ProducedBy(scaled->other, "Add");
  ir::Value* term = sum ? OtherInput(*sum, x) : nullptr;
  const ir::Node* product = ProducedBy(term, "Mul");
  const auto cube = product ? FindScalarOperand(*product) : std::nullopt;
  return cube && Near(cube->scalar, 0.044715F) && IsCube(cube->other, x);
}

/// Returns the kind and argument of the activation that `node` completes; an empty kind if it is
/// none.
std::pair<std::string, ir::Value*> MatchActivation(const ir::Node& node) {
  if (!node.IsOnnx("Mul")) return {};
  if (node.input(0) == node.input(1)) {
    const ir::Node* relu = ProducedBy(node.input(0), "Relu");
    if (relu != nullptr) return {"relu2", relu->input(0)};
    return {};
  }
  for (const size_t side : {size_t{0}, size_t{1}}) {
    ir::Value* x = node.input(1 - side);
    const ir::Node* sigmoid = ProducedBy(node.input(side), "Sigmoid");
    if (sigmoid == nullptr) continue;
    if (sigmoid->input(0) == x) return {"silu", x};
    if (IsScaled(sigmoid->input(0), x, 1.702F)) return {"quick_gelu", x};
  }
  Product product;
  CollectFactors(node.output(), 2, product);
  if (product.scalar != 0.5F || product.factors.size() != 2) return {};
  for (const size_t side : {size_t{0}, size_t{1}}) {
    ir::Value* x = product.factors[1 - side];
    const ir::Value* erf = ArgumentPlusOne(product.factors[side], "Erf");
    if (erf != nullptr && IsScaled(erf, x, 1 / std::numbers::sqrt2_v<float>)) return {"gelu", x};
    const ir::Value* tanh = ArgumentPlusOne(product.factors[side], "Tanh");
    if (tanh != nullptr && IsTanhArgument(tanh, x)) return {"gelu_pytorch_tanh", x};
  }
  return {};
}

}  // namespace

Result<Change> RaiseActivation(ir::Model& model, const PassContext&) {
  ir::Graph& graph = model.graph;
  std::vector<ir::Node*> nodes;
  for (const auto& node : graph.nodes()) nodes.push_back(node.get());
  Change change = Change::kNone;
  // Last first: a product inside an activation must not be taken for one of its own.
  for (auto it = nodes.rbegin(); it != nodes.rend(); ++it) {
    ir::Node* node = *it;
    auto [kind, x] = MatchActivation(*node);
    if (kind.empty()) continue;
    ir::Value* y = Emitter(graph, node).Op("Activation", {x}, {{"kind", kind}}, ir::kQeffDomain);
    y->set_type(node->output()->type());
    graph.ReplaceAllUses(node->output(), y);
    change = Change::kChanged;
  }
  if (change == Change::kChanged) graph.DropDead();
  return change;
}

}  // namespace qeff::passes
