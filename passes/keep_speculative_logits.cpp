// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Keeps the logits of the last n tokens of each row, n being the length of an input: what the
// target of speculative decoding needs to check a draft.
//   Before:  logits = qeff.Linear(hidden [B, T, D], head)
//   After:   kept = qeff.SelectTokens(hidden, position_ids, num_logits_to_keep)   logits =
//   qeff.Linear(kept [B, n, D], head)
// The graph gains the input num_logits_to_keep i64 [num_logits_to_keep, 1] as its last input.
// Requires: graph inputs position_ids, output logits. Refuses graphs with a state that cannot take
// rejected tokens back.
// Leaves alone: a head whose input is selected already.
#include "passes/logits_selection.h"
#include "passes/retained_state.h"

namespace qeff::passes {

Result<Change> KeepSpeculativeLogits(ir::Model& model, const PassContext&) {
  ir::Graph& graph = model.graph;
  if (const ir::Node* node = FindUnforgetting(graph)) {
    return Unsupported(
        Location::Node(model.path, node->name()),
        fmt::format("the state of {} cannot take back tokens that are rejected", node->op_type()),
        {"models with recurrent states cannot be targets of speculative decoding"});
  }
  ir::Value* position_ids = graph.FindInput("position_ids");
  QEFF_ASSIGN_OR_RETURN(ir::Node * head, FindHead(model));
  if (position_ids == nullptr || head == nullptr) return Change::kNone;
  ir::Value* keep =
      graph.AddInput("num_logits_to_keep", {DType::kI64, ir::Shape{"num_logits_to_keep", 1}});
  ir::Value* kept = graph.Add({.domain = ir::kQeffDomain,
                               .op_type = "SelectTokens",
                               .inputs = {head->input(0), position_ids, keep},
                               .name = "/SelectTokens"},
                              head);
  head->SetInput(0, kept);
  return Change::kChanged;
}

}  // namespace qeff::passes
