// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The nodes of an ONNX file under the names that they have there, Constant nodes and the bodies of
// functions included: what tools that read the same file mean when they name a node. Graphs
// (reader.h) keep neither.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lib/support/status.h"

namespace qeff::onnx_io {

struct NamedNode {
  std::string domain;  ///< "" is ai.onnx
  std::string op_type;
  std::string name;  ///< may be empty
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
};

struct NodeNames {
  std::vector<NamedNode> nodes;  ///< of the main graph, in the order of the file
  std::set<std::string, std::less<>> initializers;
  /// Names of the nodes of each function's body, by domain and name of the function.
  std::map<std::pair<std::string, std::string>, std::vector<std::string>> functions;
};

/// Reads the .onnx file `path`. Errors: kIo; kInvalidInput (not an ONNX model, names that are not
/// text); kUnsupported (2 GiB and more).
Result<NodeNames> ReadNodeNames(const std::filesystem::path& path);

}  // namespace qeff::onnx_io
