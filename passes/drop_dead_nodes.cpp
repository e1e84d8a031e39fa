// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Erases nodes and constants that no graph output depends on.
//   Before:  a = Add(x, y)   b = Mul(x, y)   return b        After:  b = Mul(x, y)   return b
// Leaves alone: graph inputs, used or not: they are the interface.
#include "passes/pass.h"

namespace qeff::passes {

Result<Change> DropDeadNodes(ir::Model& model, const PassContext&) {
  return model.graph.DropDead() ? Change::kChanged : Change::kNone;
}

}  // namespace qeff::passes
