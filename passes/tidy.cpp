// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "passes/tidy.h"

namespace qeff::passes {

Status DropDeadAndSort(ir::Model& model) {
  model.graph.DropDead();
  if (model.graph.SortTopologically()) return Status::Ok();
  return InvalidInput(Location::File(model.path), "the graph has a cycle");
}

}  // namespace qeff::passes
