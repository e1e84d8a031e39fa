// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/onnx_io/node_names.h"

#include <algorithm>

#include "lib/onnx_io/wire.h"

namespace qeff::onnx_io {

Result<NodeNames> ReadNodeNames(const std::filesystem::path& path) {
  QEFF_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
  QEFF_ASSIGN_OR_RETURN(const ScannedModel scanned, ScanModel(file));
  const onnx::ModelProto& model = scanned.model;
  NodeNames names;
  bool is_text = true;
  for (const onnx::NodeProto& node : model.graph().node()) {
    is_text = is_text && IsPlainText(node.name());
    names.nodes.push_back({.domain = std::string(CanonicalDomain(node.domain())),
                           .op_type = node.op_type(),
                           .name = node.name(),
                           .inputs = {node.input().begin(), node.input().end()},
                           .outputs = {node.output().begin(), node.output().end()}});
  }
  for (const onnx::TensorProto& tensor : model.graph().initializer())
    names.initializers.insert(tensor.name());
  for (const onnx::FunctionProto& function : model.functions()) {
    std::vector<std::string>& body =
        names.functions[{std::string(CanonicalDomain(function.domain())), function.name()}];
    for (const onnx::NodeProto& node : function.node()) {
      is_text = is_text && IsPlainText(node.name());
      body.push_back(node.name());
    }
  }
  if (!is_text)
    return InvalidInput(Location::File(path.string()), "the name of a node is not UTF-8 text");
  return names;
}

}  // namespace qeff::onnx_io
