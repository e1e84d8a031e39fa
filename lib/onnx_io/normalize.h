// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Brings nodes of ai.onnx opsets 11 to 21 into the form of opset 17, so that everything after the
// reader knows one form of each op. Where the forms differ in more than spelling, nodes are added.
#pragma once

#include "lib/ir/graph.h"

namespace qeff::onnx_io {

inline constexpr int64_t kCanonicalOpset = 17;
inline constexpr int64_t kOldestOpset = 11;
inline constexpr int64_t kNewestOpset = 21;

/// Changes `node` (of the ONNX domain, not yet in `graph`) from `opset` to opset 17; adds constants
/// and helper nodes to `graph`. Errors: kUnsupported if opset 17 cannot say it.
Status NormalizeNode(ir::Graph* graph, ir::NodeSpec* node, int64_t opset, const Location& where);

}  // namespace qeff::onnx_io
