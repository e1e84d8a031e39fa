// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Gives vectors the length 1.
//   Before:  output [B, D] = x
//   After:   output [B, D] = x / max(sqrt(sum(x * x)), 1e-12), a sum over the elements of a row
// as sentence-transformers' Normalize does; a vector of zeros stays one. Requires: the output
// `output` of rank 2. Leaves alone: an output that is such a quotient already.
#include "passes/emitter.h"
#include "passes/match.h"
#include "passes/pass.h"

namespace qeff::passes {
namespace {

constexpr float kLeastLength = 1e-12F;

bool IsNormalized(const ir::Value* value) {
  const ir::Node* quotient = ProducedBy(value, "Div");
  const ir::Node* clip = quotient == nullptr ? nullptr : ProducedBy(quotient->input(1), "Clip");
  const ir::Node* root = clip == nullptr ? nullptr : ProducedBy(clip->input(0), "Sqrt");
  const ir::Node* sum = root == nullptr ? nullptr : ProducedBy(root->input(0), "ReduceSum");
  const ir::Node* square = sum == nullptr ? nullptr : ProducedBy(sum->input(0), "Mul");
  return square != nullptr && square->input(0) == quotient->input(0) &&
         square->input(1) == quotient->input(0);
}

}  // namespace

Result<Change> NormalizeEmbeddings(ir::Model& model, const PassContext&) {
  ir::Graph& graph = model.graph;
  ir::Value* x = graph.FindOutput("output");
  if (x == nullptr || Rank(x) != 2) {
    return InvalidInput(Location::File(model.path),
                        "expected one vector for each text as the output to normalize",
                        {"pool the states of the tokens first"});
  }
  if (IsNormalized(x)) return Change::kNone;
  const Emitter emit(graph, nullptr, "/normalize");
  ir::Value* square =
      emit.Op("ReduceSum", {emit.Op("Mul", {x, x}), emit.Ints({1})}, {{"keepdims", int64_t{1}}});
  ir::Value* length = emit.Op("Clip", {emit.Op("Sqrt", {square}), emit.Float(kLeastLength)});
  ir::Value* unit = emit.Op("Div", {x, length});
  graph.RenameValue(x, "embedding");
  for (ir::GraphOutput& output : graph.outputs()) {
    if (output.name == "output") output.value = unit;
  }
  graph.RenameValue(unit, "output");
  return Change::kChanged;
}

}  // namespace qeff::passes
