// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Spells out rotary position embedding.
//   Before:  y = qeff.Rope<num_heads = H>(x [B, T, H * E], cos [B, T, R], sin [B, T, R])
//   After:   xh = Transpose(Reshape(x, [0, 0, H, E]))   c = Unsqueeze(cos, 1)   s = Unsqueeze(sin,
//   1)
//            yh = Add(Mul(xh, c), Mul(Concat(Neg(Slice(xh, R/2, R)), Slice(xh, 0, R/2)), s))
//            y = Reshape(Transpose(yh), [0, 0, H * E])
// With R < E the channels from R on pass through (Slice, Concat). interleaved = 1 rotates the pairs
// (2i, 2i + 1):
//   even = Slice(xh, 0, R, 2)   odd = Slice(xh, 1, R, 2)
//   yh = Reshape(Concat(Unsqueeze(even * c - odd * s), Unsqueeze(odd * c + even * s)), [0, 0, 0,
//   R]) with c, s cut to R/2.
// c and s are made once for each pair of tables. Requires: types of x and cos.
// The Reshape and Transpose at the end meet their inverse in lower-attention; fold-reshapes removes
// both.
#include <map>

#include "passes/emitter.h"
#include "passes/pass.h"

namespace qeff::passes {
namespace {

struct Columns {
  ir::Value* cosine;
  ir::Value* sine;
};
using ColumnsByTable = std::map<std::tuple<const ir::Value*, const ir::Value*, bool>, Columns>;

ir::Value* RotateHalfSplit(const Emitter& emit, ir::Value* x, int64_t rotary,
                           const Columns& columns) {
  ir::Value* first = emit.Slice(x, 3, 0, rotary / 2);
  ir::Value* second = emit.Slice(x, 3, rotary / 2, rotary);
  ir::Value* rotated = emit.Concat({emit.Op("Neg", {second}), first}, 3);
  return emit.Op("Add",
                 {emit.Op("Mul", {x, columns.cosine}), emit.Op("Mul", {rotated, columns.sine})});
}

ir::Value* RotateInterleaved(const Emitter& emit, ir::Value* x, int64_t rotary,
                             const Columns& columns) {
  ir::Value* even = emit.Slice(x, 3, 0, rotary, 2);
  ir::Value* odd = emit.Slice(x, 3, 1, rotary, 2);
  const auto times = [&](ir::Value* a, ir::Value* b) { return emit.Op("Mul", {a, b}); };
  ir::Value* first = emit.Op("Sub", {times(even, columns.cosine), times(odd, columns.sine)});
  ir::Value* second = emit.Op("Add", {times(odd, columns.cosine), times(even, columns.sine)});
  return emit.Reshape(emit.Concat({emit.Unsqueeze(first, {4}), emit.Unsqueeze(second, {4})}, 4),
                      {0, 0, 0, rotary});
}

Status Lower(ir::Graph& graph, ir::Node* node, ColumnsByTable& shared) {
  const int64_t heads = node->IntAttribute("num_heads", 0);
  const bool interleaved = node->IntAttribute("interleaved", 0) != 0;
  const ir::TensorType& type = node->input(0)->type();
  const ir::TensorType& table = node->input(1)->type();
  if (!type.shape || !table.shape || !type.shape->back().is_number() ||
      !table.shape->back().is_number() || heads <= 0) {
    return InvalidInput(Location::Node("", node->name()),
                        fmt::format("expected fixed last dimensions, got {} and {}",
                                    type.ToString(), table.ToString()));
  }
  const int64_t size = type.shape->back().value() / heads;
  const int64_t rotary = table.shape->back().value();
  const Emitter emit(graph, node);
  Columns& columns = shared[{node->input(1), node->input(2), interleaved}];
  if (columns.cosine == nullptr) {
    const Emitter model_scope(graph, node, "/model");
    const auto column = [&](ir::Value* values) {
      if (interleaved) values = model_scope.Slice(values, 2, 0, rotary / 2);
      return model_scope.Unsqueeze(values, {1});
    };
    columns = {column(node->input(1)), column(node->input(2))};
  }
  ir::Value* x = emit.Transpose(emit.Reshape(node->input(0), {0, 0, heads, size}), {0, 2, 1, 3});
  ir::Value* turning = rotary < size ? emit.Slice(x, 3, 0, rotary) : x;
  ir::Value* y = interleaved ? RotateInterleaved(emit, turning, rotary, columns)
                             : RotateHalfSplit(emit, turning, rotary, columns);
  if (rotary < size) y = emit.Concat({y, emit.Slice(x, 3, rotary, size)}, 3);
  ReplaceNode(graph, node, emit.Reshape(emit.Transpose(y, {0, 2, 1, 3}), {0, 0, heads * size}));
  return Status::Ok();
}

}  // namespace

Result<Change> LowerRope(ir::Model& model, const PassContext&) {
  std::vector<ir::Node*> ropes;
  for (const auto& node : model.graph.nodes()) {
    if (node->IsQeff("Rope")) ropes.push_back(node.get());
  }
  ColumnsByTable shared;
  for (ir::Node* node : ropes) QEFF_RETURN_IF_ERROR(Lower(model.graph, node, shared));
  return ropes.empty() ? Change::kNone : Change::kChanged;
}

}  // namespace qeff::passes
