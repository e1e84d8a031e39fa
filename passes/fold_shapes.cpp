// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Makes shapes, axes and bounds constants wherever type inference knows them, in one spelling.
//   Before:  y = Reshape(x [B, T, 64], Concat(Gather(Shape(x), 0), Gather(Shape(x), 1), -1, 16))
//   After:   y = Reshape(x, [0, 0, 4, 16]): numbers, 0 for a symbol that stays in place, -1 for one
//   other symbol Before:  y = Expand(x [B, 2, 1, C, 16], shape)     After:  y = Expand(x, [1, 1, 2,
//   1, 1]): 1 for sizes that x has already Before:  y = Slice(x [.., 16], 8, 9223372036854775807,
//   -1, 1)     After:  y = Slice(x, 8, 16, axis counted from the front) Before:  y = Unsqueeze(x,
//   -1)                       After:  y = Unsqueeze(x, rank) Before:  y = Where(mask,
//   ConstantOfShape<-inf>(Shape(z)), z)      After:  y = Where(mask, -inf, z) Before:  any small
//   integer value that is known                    After:  a constant
// Leaves alone: what depends on data, and shapes with two symbols that moved.
#include <algorithm>

#include "lib/ops/op.h"
#include "passes/emitter.h"
#include "passes/match.h"
#include "passes/pass.h"

namespace qeff::passes {
namespace {

class ShapeFolder {
 public:
  ShapeFolder(ir::Graph& graph, const ops::TypeFacts& facts) : graph_(graph), facts_(facts) {}

  Change Run() {
    std::vector<ir::Node*> nodes;
    for (const auto& node : graph_.nodes()) nodes.push_back(node.get());
    for (ir::Node* node : nodes) {
      for (ir::Value* output : node->outputs()) FoldKnown(output);
      if (node->IsOnnx("Reshape")) FoldReshape(node);
      if (node->IsOnnx("Expand")) FoldExpand(node);
      if (node->IsOnnx("Slice")) FoldSlice(node);
      if (node->IsOnnx("Unsqueeze")) FoldUnsqueeze(node);
      if (node->IsOnnx("ConstantOfShape")) FoldFilled(node);
    }
    return change_;
  }

 private:
  std::optional<std::vector<int64_t>> Known(const ir::Value* value) const {
    const auto found = facts_.ints.find(value);
    if (found == facts_.ints.end()) return std::nullopt;
    std::vector<int64_t> numbers;
    for (const ops::SymbolicInt& element : found->second) {
      if (!element.is_number()) return std::nullopt;
      numbers.push_back(element.number());
    }
    return numbers;
  }

  void FoldKnown(ir::Value* value) {
    const auto numbers = Known(value);
    if (!numbers || graph_.IsOutput(value) || value->uses().empty() || !value->type().shape) return;
    if (value->type().dtype != DType::kI64) return;
    const auto dims = ir::StaticDims(*value->type().shape);
    if (!dims || ir::ElementCount(*dims) != static_cast<int64_t>(numbers->size())) return;
    graph_.ReplaceAllUses(value, graph_.AddConstant("known", ir::MakeInts(*dims, *numbers)));
    change_ = Change::kChanged;
  }

  /// Puts i64 [n] as input `index` of the node unless it is there already.
  void SetInts(ir::Node* node, size_t index, std::vector<int64_t> values) {
    const ir::Value* old = node->input(index);
    if (Rank(old) == 1 && old->is_constant() && ir::ConstantInts(old) == values) return;
    node->SetInput(index, Emitter(graph_, node).Ints(std::move(values)));
    change_ = Change::kChanged;
  }

  void FoldReshape(ir::Node* node) {
    const auto& from = node->input(0)->type().shape;
    const auto& to = node->output()->type().shape;
    if (!from || !to) return;
    std::vector<int64_t> dims;
    bool has_free = false;
    for (size_t i = 0; i < to->size(); ++i) {
      const ir::Dim& dim = (*to)[i];
      if (dim.is_number()) {
        dims.push_back(dim.value());
      } else if (i < from->size() && ir::SameSize(dim, (*from)[i])) {
        dims.push_back(0);
      } else if (!has_free) {
        dims.push_back(-1);
        has_free = true;
      } else {
        return;
      }
    }
    if (std::find(dims.begin(), dims.end(), 0) != dims.end() &&
        node->IntAttribute("allowzero", 0) != 0)
      return;
    if (node->FindAttribute("allowzero") != nullptr) {
      node->EraseAttribute("allowzero");
      change_ = Change::kChanged;
    }
    SetInts(node, 1, std::move(dims));
  }

  void FoldExpand(ir::Node* node) {
    const auto& from = node->input(0)->type().shape;
    const auto& to = node->output()->type().shape;
    if (!from || !to || from->size() > to->size()) return;
    std::vector<int64_t> dims;
    const size_t offset = to->size() - from->size();
    for (size_t i = 0; i < to->size(); ++i) {
      const ir::Dim& dim = (*to)[i];
      const bool kept = i >= offset && ir::SameSize(dim, (*from)[i - offset]);
      if (!kept && !dim.is_number()) return;
      dims.push_back(kept ? 1 : dim.value());
    }
    SetInts(node, 1, std::move(dims));
  }

  void FoldSlice(ir::Node* node) {
    const auto bounds = FindSliceBounds(node);
    if (!bounds) return;
    SetInts(node, 1, {bounds->begin});
    SetInts(node, 2, {bounds->end});
    SetInts(node, 3, {bounds->axis});
    if (bounds->step == 1 && node->inputs().size() > 4 && node->input(4) != nullptr) {
      std::vector<ir::Value*> inputs(node->inputs().begin(), node->inputs().begin() + 4);
      ir::Value* sliced = Emitter(graph_, node).Op("Slice", std::move(inputs));
      sliced->set_type(node->output()->type());
      graph_.ReplaceAllUses(node->output(), sliced);
      change_ = Change::kChanged;
    }
  }

  void FoldUnsqueeze(ir::Node* node) {
    auto axes = ir::ConstantInts(node->input(1));
    if (!axes || Rank(node->output()) < 0) return;
    for (int64_t& axis : *axes) axis = axis < 0 ? axis + Rank(node->output()) : axis;
    SetInts(node, 1, std::move(*axes));
  }

  /// A tensor filled with one value that meets another of the full shape may as well be a scalar.
  void FoldFilled(ir::Node* node) {
    const ir::Attribute* attribute = node->FindAttribute("value");
    if (attribute == nullptr || graph_.IsOutput(node->output())) return;
    const ir::WeightPtr& fill = std::get<ir::WeightPtr>(*attribute);
    if (fill->element_count() != 1) return;
    const std::vector<ir::Use> uses = node->output()->uses();
    for (const ir::Use& use : uses) {
      const bool broadcasts =
          use.node->IsOnnx("Where") || use.node->IsOnnx("Mul") || use.node->IsOnnx("Add");
      if (!broadcasts || !OthersHaveFullShape(*use.node, node->output())) continue;
      ir::Value*& scalar = filled_[node];
      if (scalar == nullptr) scalar = graph_.AddConstant("fill", ir::Reshaped(fill, {}));
      use.node->SetInput(static_cast<size_t>(use.input_index), scalar);
      change_ = Change::kChanged;
    }
  }

  static bool OthersHaveFullShape(const ir::Node& node, const ir::Value* filled) {
    const auto& full = node.output()->type().shape;
    if (!full) return false;
    for (const ir::Value* input : node.inputs()) {
      if (input == filled || !input->type().shape || input->type().shape->size() != full->size())
        continue;
      bool same = true;
      for (size_t i = 0; i < full->size(); ++i)
        same &= ir::SameSize((*full)[i], (*input->type().shape)[i]);
      if (same) return true;
    }
    return false;
  }

  ir::Graph& graph_;
  const ops::TypeFacts& facts_;
  std::map<const ir::Node*, ir::Value*> filled_;
  Change change_ = Change::kNone;
};

}  // namespace

Result<Change> FoldShapes(ir::Model& model, const PassContext&) {
  QEFF_ASSIGN_OR_RETURN(const ops::TypeFacts facts, ops::InferTypes(model.graph));
  const Change change = ShapeFolder(model.graph, facts).Run();
  if (change == Change::kChanged) model.graph.DropDead();
  return change;
}

}  // namespace qeff::passes
