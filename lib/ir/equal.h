// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Whether two graphs compute the same by the same nodes. Used by tests (lower, then raise, gives
// the graph back) and tools.
#pragma once

#include <string>

#include "lib/ir/graph.h"

namespace qeff::ir {

/// Returns an empty string if the graphs have equal inputs and outputs (names, types, order) and
/// every output is made by equal nodes from equal values: op, attributes, wiring, constants by
/// recipe. Names of nodes and inner values, and the order of nodes, do not count. Otherwise returns
/// the first difference found from the outputs up.
std::string FindDifference(const Graph& a, const Graph& b);

}  // namespace qeff::ir
