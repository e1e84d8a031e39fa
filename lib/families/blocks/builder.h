// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What families build graphs with: nodes named by scope, weights found by their checkpoint names
// and checked against the shape that the config implies. Problems are collected; Finish reports
// them all and lists tensors that nobody asked for.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "lib/ir/graph.h"
#include "lib/support/status.h"

namespace qeff::families {

/// The tensors of a checkpoint by name.
struct WeightTable {
  std::string path;  ///< the checkpoint folder, for messages
  std::map<std::string, ir::WeightPtr, std::less<>> weights;
  std::string prefix = {};  ///< what the names begin with in the files, and not in `weights`

  /// True if a tensor's name ends so, whatever it begins with.
  bool HasEnding(std::string_view end) const;
  /// The place of a tensor for messages, named as its file does it.
  Location Place(std::string_view name) const {
    return Location::Tensor(path, prefix + std::string(name));
  }
};

class Builder {
 public:
  /// `weights` must outlive the builder.
  explicit Builder(const WeightTable& weights) : weights_(weights) {}

  ir::Graph& graph() { return graph_; }

  /// A node with one output in scope `scope` ("/model/layers.0/self_attn"); named scope/op_type.
  ir::Value* Op(std::string_view scope, std::string_view domain, std::string_view op_type,
                std::vector<ir::Value*> inputs, ir::AttributeMap attributes = {});
  ir::Value* Onnx(std::string_view scope, std::string_view op_type, std::vector<ir::Value*> inputs,
                  ir::AttributeMap attributes = {}) {
    return Op(scope, "", op_type, std::move(inputs), std::move(attributes));
  }
  ir::Value* Qeff(std::string_view scope, std::string_view op_type, std::vector<ir::Value*> inputs,
                  ir::AttributeMap attributes = {}) {
    return Op(scope, ir::kQeffDomain, op_type, std::move(inputs), std::move(attributes));
  }
  ir::Value* Float(float value);
  ir::Value* Int(int64_t value);
  ir::Value* Ones(int64_t size);  ///< f32 [size]

  /// True if the checkpoint has the tensor.
  bool Has(std::string_view name) const { return weights_.weights.contains(name); }
  /// The checkpoint tensor `name` in f32 as a constant of that name. A missing tensor or another
  /// shape is noted for Finish, and a stand-in is returned so that building can go on.
  ir::Value* Weight(const std::string& name, const std::vector<int64_t>& dims);
  /// The checkpoint tensor `name` in f32, for recipes; noted like Weight if it is missing or has
  /// another shape.
  ir::WeightPtr Take(const std::string& name, const std::vector<int64_t>& dims);
  /// A constant that is not in the checkpoint under this name.
  ir::Value* Constant(std::string name, ir::WeightPtr weight) {
    return graph_.AddConstant(std::move(name), std::move(weight));
  }

  /// Says what in config.json the shapes of `layer`.weight and .bias follow from, for errors.
  void ExplainShape(const std::string& layer, std::string_view keys) {
    shape_keys_[layer + ".weight"] = shape_keys_[layer + ".bias"] = keys;
  }

  /// Says that the tensor is known and not needed (buffers that some files carry along).
  void Ignore(std::string_view name) { used_.emplace(name); }

  /// The same for all tensors whose names start so (parts of a checkpoint that this graph does not
  /// compute).
  void IgnorePrefix(std::string_view prefix);

  /// Ends building. Errors: kInvalidInput with every missing, wrong or left-over tensor.
  Result<ir::Graph> Finish() &&;

 private:
  const WeightTable& weights_;
  ir::Graph graph_;
  Diagnostics diagnostics_;
  std::map<std::string, ir::Value*> constants_;
  std::set<std::string, std::less<>> used_;
  std::map<std::string, std::string> shape_keys_;
};

}  // namespace qeff::families
