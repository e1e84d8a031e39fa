// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Turns the nodes of a graph into protobuf messages. Internal to lib/onnx_io.
#pragma once

#include <string>
#include <unordered_map>

#include "lib/onnx_io/proto.h"

namespace qeff::onnx_io {

/// The names under which the values of a graph are written: an output's value takes the output's
/// name; other values keep theirs, with a suffix where an output needs it.
class ValueNames {
 public:
  explicit ValueNames(const ir::Graph& graph);
  const std::string& Of(const ir::Value* value) const { return names_.at(value); }

 private:
  std::unordered_map<const ir::Value*, std::string> names_;
};

/// Appends the nodes in their order, then an Identity for each output whose value goes by another
/// name. Errors: kUnsupported for an attribute that ONNX cannot hold.
template <typename Proto>
Status WriteNodes(const ir::Graph& graph, const ValueNames& names, Proto* proto);

/// Writes the whole weight into the tensor. Errors: kUnsupported, or those of ir::ReadWeight.
Status WriteInlineTensor(const ir::Weight& weight, const Location& where,
                         onnx::TensorProto* tensor);

/// Writes a function of the model; constants become Constant nodes. Errors as WriteNodes.
Status WriteFunction(const ir::Function& function, onnx::FunctionProto* proto);

}  // namespace qeff::onnx_io
