// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Spells out causal convolutions and their states.
//   Before:  y, conv_state.0_RetainedState = qeff.CausalConv<activation = f>(x, weight,
//                position_ids, bias, conv_state.0)
//   After:   s = Concat(Transpose(Where(starts, 0, conv_state.0)), Where(padding, 0, x))
//            y = qeff.Activation<kind = f>(Transpose(Conv<group = C>(Transpose(s without its first
//                column), weight, bias)))
//            conv_state.0_RetainedState = Transpose(CtxGather3D(s, number of tokens + [0 .. N)))
// With a batch_index: rows come from CtxGatherCB3D(conv_state.0, batch_index, all channels) and go
// back through CtxScatterCB3D, to no channel where a row is padding only. Without a state Conv
// pads. Requires: types of x and weight.
#include "passes/pass.h"
#include "passes/recurrence.h"

namespace qeff::passes {
namespace {

enum { kX, kWeight, kPositions, kBias, kState, kBatchIndex };

Status Lower(ir::Graph& graph, RecurrenceEmitter& recurrence, ir::Node* node) {
  const auto& shape = node->input(kWeight)->type().shape;
  if (!shape || !ir::StaticDims(*shape)) {
    return InvalidInput(Location::Node("", node->name()),
                        fmt::format("expected a weight of fixed size, got {}",
                                    node->input(kWeight)->type().ToString()));
  }
  const Emitter emit(graph, node);
  const StateAccess state{.state = node->input(kState),
                          .batch_index = node->input(kBatchIndex),
                          .positions = node->input(kPositions)};
  const RecurrenceResult result =
      recurrence.CausalConv(emit, {.x = node->input(kX),
                                   .weight = node->input(kWeight),
                                   .positions = node->input(kPositions),
                                   .bias = node->input(kBias),
                                   .state = recurrence.ReadState(emit, state)});
  if (node->output(1) != nullptr) {
    ReplaceState(graph, node->output(1), recurrence.WriteState(emit, state, result.state));
  }
  ir::Value* y = result.y;
  const std::string activation = node->StringAttribute("activation", "");
  if (!activation.empty()) {
    y = emit.Op("Activation", {y}, {{"kind", activation}}, ir::kQeffDomain);
  }
  ReplaceNode(graph, node, y);
  return Status::Ok();
}

}  // namespace

Result<Change> LowerCausalConv(ir::Model& model, const PassContext&) {
  std::vector<ir::Node*> nodes;
  for (const auto& node : model.graph.nodes()) {
    if (node->IsQeff("CausalConv")) nodes.push_back(node.get());
  }
  RecurrenceEmitter recurrence;
  for (ir::Node* node : nodes) QEFF_RETURN_IF_ERROR(Lower(model.graph, recurrence, node));
  return nodes.empty() ? Change::kNone : Change::kChanged;
}

}  // namespace qeff::passes
