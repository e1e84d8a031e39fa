// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Which nodes of a model each stage of a pipeline over devices computes, by the layer numbers in
// their names: the rules of QEfficient for disaggregated prefill.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "lib/onnx_io/node_names.h"
#include "lib/support/status.h"

namespace qeff::aic100 {

/// Returns the number of layers of each stage, `layers` / `stages` or one more. The stages in the
/// middle take the remainder first, from the centre outwards (centre, the next, the one before it,
/// ...), then the first; the last never does. Requires layers >= stages >= 1.
std::vector<int64_t> SplitLayers(int64_t layers, int64_t stages);

/// Returns the names of the nodes of each stage, in the order of the file.
/// - A node belongs to the layer in its name (a part layers.N, h.N or layer_N between slashes),
///   others to that of the node before them, those before the first layer to the first stage. Nodes
///   without names are left to the compiler.
/// - Nodes that the compiler computes in advance, as all their inputs are constants, are left out.
/// - A call of a function with less than 100 nodes stands for the nodes of its body, call/node,
///   except for CustomRMSNorm and CastToUInt4, which the compiler has as ops.
/// Errors: kInvalidInput (no layer in any name); kUsage (more stages than
/// layers).
Result<std::vector<std::vector<std::string>>> AssignStages(const onnx_io::NodeNames& nodes,
                                                           int64_t stages,
                                                           const std::filesystem::path& model);

/// Returns all names in the node lists of a partition file that the compiler has dumped. Errors:
/// kIo, kInvalidInput.
Result<std::set<std::string, std::less<>>> ReadPartitionNodes(const std::filesystem::path& path);

}  // namespace qeff::aic100
