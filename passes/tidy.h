// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What a pass does that has put one node in the place of several which stood apart.
#pragma once

#include "lib/ir/graph.h"
#include "lib/support/status.h"

namespace qeff::passes {

/// Erases what no output depends on and sorts the nodes: readers of a value may stand before the
/// node that makes it now. Errors: kInvalidInput if the graph has a cycle.
Status DropDeadAndSort(ir::Model& model);

}  // namespace qeff::passes
