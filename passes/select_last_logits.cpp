// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Computes logits for the last token of each row only, so that the head's matmul does not run over
// the whole prompt.
//   Before:  logits = qeff.Linear(hidden [B, T, D], head)
//   After:   last = qeff.SelectLastToken(hidden, position_ids)   logits = qeff.Linear(last [B, 1,
//   D], head)
// The selection moves up over nodes that treat tokens alone and give the output `logits`: scaling,
// soft caps, casts. Requires: graph inputs position_ids, output logits. Leaves alone: a head whose
// input is selected already (select-last-logits, keep-speculative-logits).
#include "passes/logits_selection.h"

namespace qeff::passes {

Result<Change> SelectLastLogits(ir::Model& model, const PassContext&) {
  ir::Graph& graph = model.graph;
  ir::Value* position_ids = graph.FindInput("position_ids");
  QEFF_ASSIGN_OR_RETURN(ir::Node * head, FindHead(model));
  if (position_ids == nullptr || head == nullptr) return Change::kNone;
  ir::Value* last = graph.Add({.domain = ir::kQeffDomain,
                               .op_type = "SelectLastToken",
                               .inputs = {head->input(0), position_ids},
                               .name = "/SelectLastToken"},
                              head);
  head->SetInput(0, last);
  return Change::kChanged;
}

}  // namespace qeff::passes
