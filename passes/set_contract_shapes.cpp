// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Declares the shapes of results as the original exporter does, which hosts of its graphs may
// read: generated names for the dimensions before the last one, that one as a number.
//   Before:  logits f32 [batch_size, 1, V]          After:  logits f32 [Castlogits_dim_0,
//   Castlogits_dim_1, V]
// The names start with the op that makes the result in the original's files: Cast for logits of
// tokens, Gemm for those of a text, the graph's own op for output (LayerNormalization, Gather,
// ReduceMax or Div). pooler_output, the second result, has the batch's name of the first.
// Retained states keep their symbols. Leaves alone: results whose shape is declared already.
#include "passes/match.h"
#include "passes/pass.h"

namespace qeff::passes {
namespace {

/// "Castlogits"; empty for what the original does not write.
std::string NameStem(const ir::GraphOutput& output) {
  const ir::Node* producer = output.value->producer();
  if (output.name == "logits" && Rank(output.value) == 3) return "Castlogits";
  if (output.name == "logits" && Rank(output.value) == 2) return "Gemmlogits";
  if (output.name == "output" && producer != nullptr) return producer->op_type() + "output";
  return {};
}

ir::Shape DeclaredShape(const ir::Value* value, const std::string& stem) {
  ir::Shape shape = *value->type().shape;
  for (size_t axis = 0; axis + 1 < shape.size(); ++axis)
    shape[axis] = ir::Dim(fmt::format("{}_dim_{}", stem, axis));
  return shape;
}

}  // namespace

Result<Change> SetContractShapes(ir::Model& model, const PassContext&) {
  Change change = Change::kNone;
  std::string first_stem;
  for (ir::GraphOutput& output : model.graph.outputs()) {
    const std::string stem = output.name == "pooler_output" ? first_stem : NameStem(output);
    if (stem.empty() || output.declared_shape || Rank(output.value) < 2) continue;
    first_stem = stem;
    output.declared_shape = DeclaredShape(output.value, stem);
    change = Change::kChanged;
  }
  return change;
}

}  // namespace qeff::passes
