// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What the functions of an op see: a node that obeys its schema, types and contents of its inputs,
// and places for the results. Included by the files of ops and by nothing else.
#pragma once

#include <functional>

#include "lib/ops/op.h"

namespace qeff::ops {

// Attribute schemas, briefly.
AttributeSchema IntAttribute(std::string_view name, int64_t fallback);
AttributeSchema FloatAttribute(std::string_view name, float fallback);
AttributeSchema StringAttribute(std::string_view name, std::string_view fallback);
AttributeSchema OptionalAttribute(std::string_view name, AttributeKind kind);
AttributeSchema RequiredAttribute(std::string_view name, AttributeKind kind);

/// What inference and evaluation share.
class NodeContext {
 public:
  NodeContext(const ir::Node& node, const OpSchema& schema) : node_(node), schema_(schema) {}

  const ir::Node& node() const { return node_; }
  size_t input_count() const { return node_.inputs().size(); }
  size_t output_count() const { return node_.outputs().size(); }
  bool HasAttribute(std::string_view name) const { return Find(name) != nullptr; }
  // Of the node, else the schema's fallback. Require that one of the two exists.
  int64_t Int(std::string_view name) const { return std::get<int64_t>(Get(name)); }
  float Float(std::string_view name) const { return std::get<float>(Get(name)); }
  const std::string& String(std::string_view name) const {
    return std::get<std::string>(Get(name));
  }
  const std::vector<int64_t>& Ints(std::string_view name) const {
    return std::get<std::vector<int64_t>>(Get(name));
  }
  const ir::Weight& Weight(std::string_view name) const {
    return *std::get<ir::WeightPtr>(Get(name));
  }

  /// kInvalidInput at this node: "<op>: <message>".
  Status Invalid(std::string message, std::vector<std::string> notes = {}) const;
  Status Unsupported(std::string message, std::vector<std::string> notes = {}) const;

 private:
  const ir::Attribute* Find(std::string_view name) const;
  const ir::Attribute& Get(std::string_view name) const;

  const ir::Node& node_;
  const OpSchema& schema_;
};

class InferContext : public NodeContext {
 public:
  /// Returns what is known of the elements of an input.
  using Contents = std::function<std::optional<SymbolicInts>(size_t input)>;

  /// `types` has one entry per input of the node, with element type and rank; entries of absent
  /// inputs are ignored.
  InferContext(const ir::Node& node, const OpSchema& schema, std::vector<ir::TensorType> types,
               Contents contents)
      : NodeContext(node, schema),
        types_(std::move(types)),
        contents_(std::move(contents)),
        outputs_(node.outputs().size()),
        output_contents_(node.outputs().size()) {}

  bool Has(size_t input) const { return input < types_.size() && node().input(input) != nullptr; }
  DType dtype(size_t input) const { return *types_[input].dtype; }
  const ir::Shape& shape(size_t input) const { return *types_[input].shape; }
  int64_t rank(size_t input) const { return static_cast<int64_t>(shape(input).size()); }
  std::string TypeText(size_t input) const { return types_[input].ToString(); }

  /// The elements of a small input, if anything is known of them.
  std::optional<SymbolicInts> Content(size_t input) const { return contents_(input); }
  /// The elements of a small input, if all are known numbers.
  std::optional<std::vector<int64_t>> Numbers(size_t input) const;
  /// Its only element, if there is only one and it is a known number.
  std::optional<int64_t> Number(size_t input) const;

  /// Ignores outputs that the node does not have.
  void SetOutput(size_t output, DType dtype, ir::Shape shape);
  const std::vector<ir::TensorType>& outputs() const { return outputs_; }
  /// For ops whose elements follow from types alone, as those of Shape do.
  void SetContent(size_t output, SymbolicInts elements);
  const std::optional<SymbolicInts>& output_content(size_t output) const {
    return output_contents_[output];
  }

  // Checks, with "input <i>" in the message.
  Status ExpectRank(size_t input, int64_t rank) const;
  Status ExpectSameDType(size_t a, size_t b) const;
  Status ExpectFloat(size_t input) const;
  Status ExpectInteger(size_t input) const;  ///< any integer, not bool
  Status ExpectDType(size_t input, DType dtype) const;
  /// Fails if both sizes are numbers and differ; sizes that are not known are taken as fitting.
  Status ExpectSize(size_t input, int64_t axis, const ir::Dim& expected) const;

 private:
  std::vector<ir::TensorType> types_;
  Contents contents_;
  std::vector<ir::TensorType> outputs_;
  std::vector<std::optional<SymbolicInts>> output_contents_;
};

class EvaluateContext : public NodeContext {
 public:
  EvaluateContext(const ir::Node& node, const OpSchema& schema,
                  std::span<const Tensor* const> inputs, std::vector<Tensor> outputs)
      : NodeContext(node, schema), inputs_(inputs), outputs_(std::move(outputs)) {}

  bool Has(size_t input) const { return input < inputs_.size() && inputs_[input] != nullptr; }
  /// Requires Has(input).
  const Tensor& in(size_t input) const { return *inputs_[input]; }
  Tensor& out(size_t output = 0) { return outputs_[output]; }
  std::vector<Tensor> TakeOutputs() { return std::move(outputs_); }

 private:
  std::span<const Tensor* const> inputs_;
  std::vector<Tensor> outputs_;
};

/// The elements of a tensor; unknown where a float is not integral.
SymbolicInts ContentOf(const Tensor& tensor);

/// Calls `function(source elements, target elements)` with the elements that both tensors hold:
/// doubles or integers. Requires dtypes of one kind.
template <typename Function>
void WithElements(const Tensor& source, Tensor& target, const Function& function) {
  if (source.is_float()) {
    function(source.floats, target.floats);
  } else {
    function(source.ints, target.ints);
  }
}

}  // namespace qeff::ops
