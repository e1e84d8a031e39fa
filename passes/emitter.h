// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Adds nodes before a given node, with names in its scope ("/model/layers.0/self_attn/Mul"), and
// shares small constants. Used by passes that replace one node by several.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "lib/ir/graph.h"

namespace qeff::passes {

class Emitter {
 public:
  /// New nodes go before `before`; names start with the scope of its name.
  Emitter(ir::Graph& graph, const ir::Node* before);
  /// New nodes get names in `scope` instead.
  Emitter(ir::Graph& graph, const ir::Node* before, std::string scope)
      : graph_(graph), before_(before), scope_(std::move(scope)) {}

  /// An ONNX op with one output.
  ir::Value* Op(std::string_view op_type, std::vector<ir::Value*> inputs,
                ir::AttributeMap attributes = {}, std::string_view domain = "") const;
  /// Several outputs, with these names.
  ir::Node* Multi(std::string_view domain, std::string_view op_type, std::vector<ir::Value*> inputs,
                  ir::AttributeMap attributes, std::vector<std::string> output_names) const;

  ir::Value* Ints(std::vector<int64_t> values) const;  ///< i64 [n]
  ir::Value* Int(int64_t value) const;                 ///< i64 []
  ir::Value* Float(float value) const;                 ///< f32 []

  // Shorthands for ops whose parameters are constant inputs.
  ir::Value* Reshape(ir::Value* x, std::vector<int64_t> dims) const;
  ir::Value* Transpose(ir::Value* x, std::vector<int64_t> permutation) const;
  ir::Value* Unsqueeze(ir::Value* x, std::vector<int64_t> axes) const;
  /// Elements begin, begin + step, ... below `end` of `axis`.
  ir::Value* Slice(ir::Value* x, int64_t axis, int64_t begin, int64_t end, int64_t step = 1) const;
  ir::Value* Concat(std::vector<ir::Value*> parts, int64_t axis) const;
  ir::Value* Cast(ir::Value* x, DType dtype) const;

  ir::Graph& graph() const { return graph_; }
  const std::string& scope() const { return scope_; }
  /// The same place, names in another scope.
  Emitter InScope(std::string scope) const { return {graph_, before_, std::move(scope)}; }

 private:
  ir::Value* Shared(std::string name, ir::WeightPtr weight) const;

  ir::Graph& graph_;
  const ir::Node* before_;
  std::string scope_;
};

/// "/model/layers.0/self_attn/Attention" -> "/model/layers.0/self_attn".
std::string ScopeOf(std::string_view node_name);

/// ONNX's number of a dtype, as the attribute `to` of Cast has it.
int64_t OnnxDType(DType dtype);

/// Replaces every use of `node`'s first output by `value`, erases the node and gives `value` its
/// name. `value` must be an output of a node.
void ReplaceNode(ir::Graph& graph, ir::Node* node, ir::Value* value);

}  // namespace qeff::passes
