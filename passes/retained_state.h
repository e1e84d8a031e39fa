// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Which semantic ops remember earlier tokens, and where they have what they remember. Used by the
// passes that give graphs their caches.
#pragma once

#include <string_view>
#include <vector>

#include "lib/ir/graph.h"

namespace qeff::passes {

/// Inputs of one op by index. Output 1 + i is what input first_state + i becomes.
struct StatefulOp {
  std::string_view op_type;  ///< in domain qeff
  size_t positions;
  size_t first_state;
  size_t batch_index;
  std::vector<std::string_view> names;  ///< of graph inputs for its states, before ".<number>"
  /// A token whose position comes again replaces the earlier one. Otherwise each token has changed
  /// the state for good, and a rejected guess cannot be taken back.
  bool can_take_back = false;
};

/// Null if the node's op never remembers anything.
const StatefulOp* FindStatefulOp(const ir::Node& node);
/// The nodes that have their states (or that could have them: have positions, and none yet), in the
/// graph's order.
std::vector<ir::Node*> NodesWithState(const ir::Graph& graph);
std::vector<ir::Node*> NodesWithoutState(const ir::Graph& graph);
/// The first node whose state cannot take a token back; null if all can, or nothing is kept.
const ir::Node* FindUnforgetting(const ir::Graph& graph);

}  // namespace qeff::passes
