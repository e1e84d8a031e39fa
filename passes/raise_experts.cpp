// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Recognizes routed experts: products with weights that are gathered by expert, for every choice of
// every token, weighted and added.
//   Before:  h = Mul(qeff.Activation<kind = a>(Clip(linear(rows, gate), , l)),
//                    Add(Clip(linear(rows, up), -l, l), o))
//            y = ReduceSum or Einsum(Mul(linear(h, down), weights)) over the choices, [N, D]
//            linear(v, w) = MatMul(v [N * k, 1, in], Gather(w [X, in, out], e)), or
//                           MatMul(Gather(w [X, out, in], e), v [N * k, in, 1]),
//            or the same plus Gather(bias [X, out], e)
//            rows = each row of x k times: Expand, or Gather by token;  e = ids, flat
//   After:   y = Reshape(qeff.Experts<activation = a, limit = l, up_offset = o>(x, ids, weights,
//   gate,
//            up, down, biases), [-1, D])
// Clip, the offset, the biases and the weights may be missing; without weights, rows are Mul of
// them and the rows of x (weights_scale_inputs = 1). Gate and up may be halves of one product.
// Also left out: a Clip of the ids to [0, X), and zeros (Where) for choices >= X, if the ids are
// indices of a TopK over X.
// Requires: weights and biases constants; inferred types; Activations raised already.
// Leaves alone: products with all experts, masked afterwards (the loops of some exports).
#include <algorithm>
#include <cmath>

#include "passes/emitter.h"
#include "passes/match.h"
#include "passes/pass.h"

namespace qeff::passes {
namespace {

constexpr std::string_view kTransposedSuffix = ".transposed";
/// The least finite f16: exports write it for "no lower limit".
constexpr float kLeastHalf = -65504;

bool IsReshaping(const ir::Node* node) {
  return node != nullptr && (node->IsOnnx("Reshape") || node->IsOnnx("Unsqueeze") ||
                             node->IsOnnx("Squeeze") || node->IsOnnx("Identity"));
}

/// `value` and what it is a reshape of, nearest first.
std::vector<ir::Value*> Unreshaped(ir::Value* value) {
  std::vector<ir::Value*> chain = {value};
  while (chain.back() != nullptr && IsReshaping(chain.back()->producer())) {
    chain.push_back(chain.back()->producer()->input(0));
  }
  return chain;
}

bool SameDims(std::span<const ir::Dim> a, std::span<const ir::Dim> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), ir::SameSize);
}

/// The part of a constant that holds the rows [begin, begin + size) of axis 1 of its output-major
/// form.
struct Rows {
  int64_t begin = 0;
  int64_t size = 0;
};

/// One product with gathered weights.
struct Product {
  ir::Value* rows = nullptr;
  ir::Value* weight = nullptr;
  bool weight_is_input_major = false;  ///< [X, in, out]
  ir::Value* bias = nullptr;
  ir::Value* ids = nullptr;  ///< as Gather has them
  std::optional<Rows> part;  ///< of the outputs; all if not set
};

/// A constant that is gathered by expert.
struct Gathered {
  ir::Value* stack = nullptr;
  ir::Value* ids = nullptr;
};

std::optional<Gathered> MatchGather(ir::Value* value, int rank) {
  const ir::Node* gather = ProducedBy(value, "Gather");
  if (gather == nullptr || gather->IntAttribute("axis", 0) != 0) return std::nullopt;
  if (!gather->input(0)->is_constant() || Rank(gather->input(0)) != rank ||
      Rank(gather->input(1)) != 1) {
    return std::nullopt;
  }
  return Gathered{gather->input(0), gather->input(1)};
}

std::optional<Product> MatchMatMul(ir::Value* value) {
  const ir::Node* matmul = ProducedBy(value, "MatMul");
  if (matmul == nullptr) return std::nullopt;
  for (const size_t side : {size_t{1}, size_t{0}}) {
    const auto weight = MatchGather(matmul->input(side), 3);
    ir::Value* rows = matmul->input(1 - side);
    if (!weight || Rank(rows) != 3 || FixedDim(rows, side == 1 ? 1 : 2) != 1) continue;
    return Product{rows, weight->stack, side == 1, nullptr, weight->ids, std::nullopt};
  }
  return std::nullopt;
}

/// Exports flatten the ids once for each stack.
bool SameIds(ir::Value* a, ir::Value* b) { return SameData(a) == SameData(b); }

std::optional<Product> MatchProduct(ir::Value* value) {
  value = Unreshaped(value).back();
  if (const ir::Node* slice = ProducedBy(value, "Slice")) {
    const auto bounds = FindSliceBounds(slice);
    if (!bounds || bounds->step != 1 || bounds->axis != Rank(value) - 1) return std::nullopt;
    auto product = MatchProduct(slice->input(0));
    if (!product || product->part || product->bias != nullptr) return std::nullopt;
    product->part = Rows{bounds->begin, bounds->end - bounds->begin};
    return product;
  }
  const ir::Node* add = ProducedBy(value, "Add");
  if (add == nullptr) return MatchMatMul(value);
  for (const size_t side : {size_t{0}, size_t{1}}) {
    auto product = MatchMatMul(Unreshaped(add->input(side)).back());
    const auto bias = MatchGather(Unreshaped(add->input(1 - side)).back(), 2);
    if (!product || !bias || !SameIds(product->ids, bias->ids)) continue;
    product->bias = bias->stack;
    return product;
  }
  return std::nullopt;
}

/// What the gate and up branches do to their products.
struct Gating {
  std::string activation;
  float limit = 0;
  float up_offset = 0;
  Product gate;
  Product up;
};

/// Removes Clip(x, low, high) from *value. False if it is a Clip with other bounds than asked for:
/// `is_up` wants low = -high, else there must be no lower bound.
bool StripClip(ir::Value** value, bool is_up, float* limit) {
  *limit = 0;
  const ir::Node* clip = ProducedBy(Unreshaped(*value).back(), "Clip");
  if (clip == nullptr) return true;
  const auto high = ir::ConstantFloat(clip->input(2));
  if (!high || *high <= 0) return false;
  // A bound that is not constant is none of those asked for: not a number is equal to nothing.
  const float low = ir::ConstantFloat(clip->input(1)).value_or(NAN);
  const bool has_no_low = clip->input(1) == nullptr || low <= kLeastHalf;
  if (is_up ? low != -*high : !has_no_low) return false;
  *limit = *high;
  *value = clip->input(0);
  return true;
}

/// The activation that makes `value`, ONNX's own ones included.
std::pair<std::string, ir::Value*> MatchActivation(ir::Value* value) {
  const ir::Node* node = Unreshaped(value).back()->producer();
  if (node == nullptr) return {};
  if (node->IsQeff("Activation")) return {node->StringAttribute("kind", ""), node->input(0)};
  if (node->IsOnnx("Relu")) return {"relu", node->input(0)};
  if (node->IsOnnx("Sigmoid")) return {"sigmoid", node->input(0)};
  if (node->IsOnnx("Tanh")) return {"tanh", node->input(0)};
  return {};
}

std::optional<Gating> MatchGating(ir::Value* value) {
  const ir::Node* product = ProducedBy(Unreshaped(value).back(), "Mul");
  if (product == nullptr) return std::nullopt;
  for (const size_t side : {size_t{0}, size_t{1}}) {
    Gating gating;
    auto [activation, gate] = MatchActivation(product->input(side));
    if (activation.empty()) continue;
    gating.activation = activation;
    ir::Value* up = product->input(1 - side);
    const ir::Node* add = ProducedBy(Unreshaped(up).back(), "Add");
    if (const auto offset = add ? FindScalarOperand(*add) : std::nullopt) {
      gating.up_offset = offset->scalar;
      up = offset->other;
    }
    float up_limit = 0;
    if (!StripClip(&gate, false, &gating.limit) || !StripClip(&up, true, &up_limit)) continue;
    if (gating.limit != up_limit) continue;
    const auto gate_product = MatchProduct(gate);
    const auto up_product = MatchProduct(up);
    if (!gate_product || !up_product) continue;
    gating.gate = *gate_product;
    gating.up = *up_product;
    return gating;
  }
  return std::nullopt;
}

/// Values that may be the tokens x, if `rows` is x with each row repeated `choices` times, nearest
/// first. Empty if it is not.
std::vector<ir::Value*> TokensOf(ir::Value* rows, int64_t choices) {
  const std::vector<ir::Value*> chain = Unreshaped(rows);
  if (choices == 1) return chain;
  const ir::Node* node = chain.back()->producer();
  if (node == nullptr) return {};
  if (node->IsOnnx("Expand") && Rank(node->input(0)) == 3 && Rank(node->output()) == 3 &&
      FixedDim(node->input(0), 1) == 1 && FixedDim(node->output(), 1) == choices &&
      FixedDim(node->output(), 2) && FixedDim(node->input(0), 2) == FixedDim(node->output(), 2)) {
    return Unreshaped(node->input(0));
  }
  // Gather(x [N, D], [0, 0, 1, 1, ..])
  if (!node->IsOnnx("Gather") || node->IntAttribute("axis", 0) != 0 || Rank(node->input(0)) != 2)
    return {};
  const ir::Node* expand = ProducedBy(SameData(node->input(1)), "Expand");
  if (expand == nullptr || Rank(expand->output()) != 2 ||
      FixedDim(expand->output(), 1) != choices || FixedDim(expand->input(0), 1) != 1) {
    return {};
  }
  const ir::Node* range = ProducedBy(SameData(expand->input(0)), "Range");
  if (range == nullptr || ir::ConstantInt(range->input(0)) != 0 ||
      ir::ConstantInt(range->input(2)) != 1 || !range->output()->type().shape ||
      !ir::SameSize((*range->output()->type().shape)[0], (*node->input(0)->type().shape)[0])) {
    return {};
  }
  return Unreshaped(node->input(0));
}

/// True if `ids` are indices of a TopK along an axis of `experts` elements.
bool AreIndicesOfTopK(ir::Value* ids, int64_t experts) {
  const ir::Value* source = SameData(ids);
  const ir::Node* top = ProducedBy(source, "TopK");
  return top != nullptr && source == top->output(1) &&
         FixedDim(top->input(0), static_cast<int>(top->IntAttribute("axis", -1))) == experts;
}

/// The ids before they were clipped to [0, experts).
ir::Value* Unclipped(ir::Value* ids, int64_t experts) {
  const ir::Node* clip = ProducedBy(ids, "Clip");
  if (clip == nullptr || ir::ConstantInt(clip->input(1)) != 0 ||
      ir::ConstantInt(clip->input(2)) != experts - 1 ||
      !AreIndicesOfTopK(clip->input(0), experts)) {
    return ids;
  }
  return clip->input(0);
}

/// What stands behind zeros for choices that no expert has: Where(ids >= experts, 0, x) -> x.
ir::Value* Unmasked(ir::Value* value, int64_t experts) {
  const ir::Node* where = ProducedBy(value, "Where");
  if (where == nullptr) return value;
  const ir::Node* compare = ProducedBy(Unreshaped(where->input(0)).back(), "GreaterOrEqual");
  const bool is_mask = compare != nullptr && ir::ConstantInt(compare->input(1)) == experts &&
                       AreIndicesOfTopK(compare->input(0), experts);
  return is_mask ? Unreshaped(where->input(2)).back() : value;
}

class ExpertsRaising {
 public:
  explicit ExpertsRaising(ir::Graph& graph) : graph_(graph) {}

  Change Run() {
    std::vector<ir::Node*> sums;
    for (const auto& node : graph_.nodes()) {
      if (IsSumOverChoices(*node)) sums.push_back(node.get());
    }
    Change change = Change::kNone;
    for (ir::Node* sum : sums) change = change | Raise(sum);
    if (change == Change::kChanged) graph_.DropDead();
    return change;
  }

 private:
  /// [N, k, D] -> [N, D]
  static bool IsSumOverChoices(const ir::Node& node) {
    if (Rank(node.input(0)) != 3 || Rank(node.output()) != 2) return false;
    if (node.IsOnnx("Einsum")) {
      const std::string equation = node.StringAttribute("equation", "");
      return node.inputs().size() == 1 && equation.size() == 7 && equation.substr(3, 2) == "->" &&
             equation[0] != equation[1] && equation[1] != equation[2] &&
             equation[0] != equation[2] && equation[5] == equation[0] && equation[6] == equation[2];
    }
    return node.IsOnnx("ReduceSum") && node.IntAttribute("keepdims", 1) == 0 &&
           node.input(1) != nullptr && ir::ConstantInt(node.input(1)) == 1;
  }

  Change Raise(ir::Node* sum) {
    const auto choices = FixedDim(sum->input(0), 1);
    if (!choices) return Change::kNone;
    ir::Value* terms = Unreshaped(sum->input(0)).back();
    // The number of experts, for the masks around the terms, is known once the products are.
    if (const ir::Node* where = ProducedBy(terms, "Where")) {
      const ir::Node* compare = ProducedBy(Unreshaped(where->input(0)).back(), "GreaterOrEqual");
      const auto experts = compare ? ir::ConstantInt(compare->input(1)) : std::nullopt;
      if (experts) terms = Unmasked(terms, *experts);
    }
    auto down = MatchProduct(terms);
    ir::Value* weights = nullptr;
    const ir::Node* weighted = ProducedBy(terms, "Mul");
    for (size_t side = 0; side < 2 && weighted != nullptr && !down; ++side) {
      down = MatchProduct(weighted->input(side));
      weights = weighted->input(1 - side);
    }
    const auto gating = down ? MatchGating(down->rows) : std::nullopt;
    if (!gating || gating->gate.rows != gating->up.rows) return Change::kNone;
    ir::Value* rows = gating->gate.rows;
    const bool scales_inputs = weights == nullptr;
    if (scales_inputs) {
      const ir::Node* scaled = ProducedBy(Unreshaped(rows).back(), "Mul");
      if (scaled == nullptr) return Change::kNone;
      rows = scaled->input(0);
      weights = scaled->input(1);
    }
    return Emit(sum, *choices, *gating, *down, {rows, weights, scales_inputs});
  }

  struct Source {
    ir::Value* rows = nullptr;
    ir::Value* weights = nullptr;
    bool scales_inputs = false;
  };

  Change Emit(ir::Node* sum, int64_t choices, const Gating& gating, const Product& down,
              const Source& source) {
    const auto experts = FixedDim(down.weight, 0);
    if (!experts || !SameIds(gating.gate.ids, gating.up.ids) ||
        !SameIds(gating.gate.ids, down.ids)) {
      return Change::kNone;
    }
    for (ir::Value* ids : Unreshaped(Unclipped(down.ids, *experts))) {
      if (Rank(ids) < 1 || FixedDim(ids, -1) != choices) continue;
      ir::Value* x = FindTokens(TokensOf(source.rows, choices), *ids);
      ir::Value* weights = FindLike(Unreshaped(source.weights), *ids);
      if (x == nullptr || weights == nullptr) continue;
      Replace(sum, {x, ids, weights}, gating, down, source.scales_inputs);
      return Change::kChanged;
    }
    return Change::kNone;
  }

  /// The first of `values` that has the leading axes of `ids`.
  static ir::Value* FindTokens(const std::vector<ir::Value*>& values, const ir::Value& ids) {
    const std::span<const ir::Dim> wanted(ids.type().shape->data(), ids.type().shape->size() - 1);
    for (ir::Value* value : values) {
      if (Rank(value) != Rank(&ids)) continue;
      const ir::Shape& shape = *value->type().shape;
      if (SameDims(wanted, {shape.data(), shape.size() - 1})) return value;
    }
    return nullptr;
  }

  static ir::Value* FindLike(const std::vector<ir::Value*>& values, const ir::Value& ids) {
    for (ir::Value* value : values) {
      if (Rank(value) == Rank(&ids) && SameDims(*value->type().shape, *ids.type().shape))
        return value;
    }
    return nullptr;
  }

  void Replace(ir::Node* sum, std::vector<ir::Value*> inputs, const Gating& gating,
               const Product& down, bool scales_inputs) {
    for (const Product* product : {&gating.gate, &gating.up, &down}) {
      inputs.push_back(OutputMajor(*product));
    }
    if (gating.gate.bias != nullptr || gating.up.bias != nullptr || down.bias != nullptr) {
      inputs.insert(inputs.end(), {gating.gate.bias, gating.up.bias, down.bias});
    }
    ir::AttributeMap attributes = {{"activation", gating.activation}};
    if (gating.limit != 0) attributes["limit"] = gating.limit;
    if (gating.up_offset != 0) attributes["up_offset"] = gating.up_offset;
    if (scales_inputs) attributes["weights_scale_inputs"] = int64_t{1};
    const Emitter emit(graph_, sum);
    const ir::TensorType type = inputs[0]->type();
    ir::Value* y = emit.Op("Experts", std::move(inputs), std::move(attributes), ir::kQeffDomain);
    y->set_type(type);
    ir::Value* flat = emit.Reshape(y, {-1, *FixedDim(sum->output(), -1)});
    flat->set_type(sum->output()->type());
    graph_.ReplaceAllUses(sum->output(), flat);
  }

  /// The weight as [X, out, in], under the name that lower-experts has given it.
  ir::Value* OutputMajor(const Product& product) {
    ir::WeightPtr weight = product.weight->constant();
    if (product.weight_is_input_major) weight = ir::Transposed(weight, {0, 2, 1});
    std::string name = product.weight->name();
    if (product.part) {
      const int64_t end = product.part->begin + product.part->size;
      name += fmt::format(".{}_{}", product.part->begin, end);
      weight = ir::Sliced(weight, 1, product.part->begin, end);
    } else if (!product.weight_is_input_major) {
      return product.weight;
    }
    if (name.ends_with(kTransposedSuffix)) name.resize(name.size() - kTransposedSuffix.size());
    return graph_.AddConstant(name, std::move(weight));
  }

  ir::Graph& graph_;
};

}  // namespace

Result<Change> RaiseExperts(ir::Model& model, const PassContext&) {
  return ExpertsRaising(model.graph).Run();
}

}  // namespace qeff::passes
