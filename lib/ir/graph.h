// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The graph of the whole toolchain: nodes with (domain, op), named attributes, values with a type.
// Families build it, passes rewrite it, onnx_io reads and writes it, backends compile it. Nodes are
// kept in an order in which every value is made before it is used (VerifyGraph checks). A graph
// owns its nodes and values; pointers to them stay valid until they are erased.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "lib/ir/type.h"
#include "lib/ir/weight.h"

namespace qeff::ir {

class Graph;
class Node;

/// Our semantic ops. ONNX's own domain is the empty string.
inline constexpr std::string_view kQeffDomain = "qeff";
/// Ops that the AI 100 compiler knows: CtxScatter, CtxGather, ...
inline constexpr std::string_view kCloudDomain = "com.qualcomm.cloud";
inline constexpr std::string_view kAiswDomain = "com.qti.aisw.onnx";
/// Suffix that pairs an output with the input of the same name as retained state.
inline constexpr std::string_view kRetainedStateSuffix = "_RetainedState";

/// ONNX attribute values. A function body may refer to an attribute of the call instead
/// (AttributeReference).
struct AttributeReference {
  std::string name;
  friend bool operator==(const AttributeReference&, const AttributeReference&) = default;
};
using Attribute =
    std::variant<int64_t, float, std::string, std::vector<int64_t>, std::vector<float>,
                 std::vector<std::string>, WeightPtr, AttributeReference>;
using AttributeMap = std::map<std::string, Attribute, std::less<>>;

bool SameAttribute(const Attribute& a, const Attribute& b);

/// One place where a value is read.
struct Use {
  Node* node = nullptr;
  int input_index = 0;
};

/// A value: a graph input, a constant, or an output of a node.
class Value {
 public:
  const std::string& name() const { return name_; }
  const TensorType& type() const { return type_; }
  void set_type(TensorType type) { type_ = std::move(type); }
  /// Null for inputs and constants.
  Node* producer() const { return producer_; }
  int output_index() const { return output_index_; }
  bool is_input() const { return is_input_; }
  bool is_constant() const { return constant_ != nullptr; }
  /// Null if not a constant.
  const WeightPtr& constant() const { return constant_; }
  void set_constant(WeightPtr weight);  ///< also sets the type; requires is_constant()
  const std::vector<Use>& uses() const { return uses_; }

 private:
  friend class Graph;
  friend class Node;
  std::string name_;
  TensorType type_;
  Node* producer_ = nullptr;
  int output_index_ = 0;
  bool is_input_ = false;
  WeightPtr constant_;
  std::vector<Use> uses_;
  std::list<std::unique_ptr<Value>>::iterator position_;
};

class Node {
 public:
  const std::string& domain() const { return domain_; }
  const std::string& op_type() const { return op_type_; }
  /// Scoped like "/model/layers.0/self_attn/q_proj/MatMul": partitioning by layer reads it.
  const std::string& name() const { return name_; }
  bool Is(std::string_view domain, std::string_view op_type) const {
    return domain_ == domain && op_type_ == op_type;
  }
  bool IsOnnx(std::string_view op_type) const { return Is("", op_type); }
  bool IsQeff(std::string_view op_type) const { return Is(kQeffDomain, op_type); }

  /// Null where an optional input is left out.
  const std::vector<Value*>& inputs() const { return inputs_; }
  /// Null if there is no such input.
  Value* input(size_t index) const { return index < inputs_.size() ? inputs_[index] : nullptr; }
  /// Sets an input, extending the list with nulls as needed.
  void SetInput(size_t index, Value* value);
  /// An output that nobody wants has an empty name.
  const std::vector<Value*>& outputs() const { return outputs_; }
  Value* output(size_t index = 0) const {
    return index < outputs_.size() ? outputs_[index] : nullptr;
  }

  const AttributeMap& attributes() const { return attributes_; }
  void SetAttribute(std::string_view name, Attribute value) {
    attributes_.insert_or_assign(std::string(name), std::move(value));
  }
  void EraseAttribute(std::string_view name);
  const Attribute* FindAttribute(std::string_view name) const;
  int64_t IntAttribute(std::string_view name, int64_t fallback) const;
  float FloatAttribute(std::string_view name, float fallback) const;
  std::string StringAttribute(std::string_view name, std::string_view fallback) const;
  /// Empty if absent.
  std::vector<int64_t> IntsAttribute(std::string_view name) const;

  /// "qeff.Attention" or "Add".
  std::string QualifiedOp() const { return domain_.empty() ? op_type_ : domain_ + "." + op_type_; }

 private:
  friend class Graph;
  std::string domain_;
  std::string op_type_;
  std::string name_;
  std::vector<Value*> inputs_;
  std::vector<Value*> outputs_;
  AttributeMap attributes_;
  std::list<std::unique_ptr<Node>>::iterator position_;
};

/// What a new node is made of. `output_names` gives the number of outputs; an empty name gets a
/// fresh one.
struct NodeSpec {
  std::string_view domain;
  std::string_view op_type;
  std::vector<Value*> inputs;
  AttributeMap attributes;
  std::string name;  ///< empty: the op; a suffix makes it unique in the graph
  std::vector<std::string> output_names = {""};
};

/// A named result of the graph. `declared_shape`, if set, is what the file says instead of the
/// value's inferred shape.
struct GraphOutput {
  std::string name;
  Value* value = nullptr;
  std::optional<Shape> declared_shape;
};

class Graph {
 public:
  Graph() = default;
  Graph(Graph&&) = default;
  Graph& operator=(Graph&&) = default;

  const std::string& name() const { return name_; }
  void set_name(std::string name) { name_ = std::move(name); }

  const std::list<std::unique_ptr<Node>>& nodes() const { return nodes_; }
  const std::vector<Value*>& inputs() const { return inputs_; }
  std::vector<GraphOutput>& outputs() { return outputs_; }
  const std::vector<GraphOutput>& outputs() const { return outputs_; }
  /// Constants in the order in which they were added.
  std::vector<Value*> constants() const;
  Value* FindInput(std::string_view name) const;
  Value* FindOutput(std::string_view name) const;  ///< by output name; null if absent

  /// Adds a graph input at `index` (default: last). Requires a name not in use.
  Value* AddInput(std::string name, TensorType type, std::optional<size_t> index = std::nullopt);
  /// Requires that nobody uses it.
  void EraseInput(Value* input);
  /// Adds a constant; if `name` is in use, a suffix is added; if empty, one is made.
  Value* AddConstant(std::string name, WeightPtr weight);
  void AddOutput(std::string name, Value* value) {
    outputs_.push_back({std::move(name), value, {}});
  }

  /// Adds a node at the end, or before `before`.
  Node* AddNode(NodeSpec spec, const Node* before = nullptr);
  /// AddNode for ops with one output: returns it.
  Value* Add(NodeSpec spec, const Node* before = nullptr) {
    return AddNode(std::move(spec), before)->output(0);
  }
  /// Requires that no output is used.
  void EraseNode(Node* node);
  /// Requires that nobody uses it.
  void EraseConstant(Value* constant);
  /// Makes every reader of `from`, and every graph output that is `from`, read `to`. Names of graph
  /// outputs stay.
  void ReplaceAllUses(Value* from, Value* to);
  /// True if `value` is a graph output or has readers.
  bool IsUsed(const Value* value) const;
  bool IsOutput(const Value* value) const;

  void RenameValue(Value* value,
                   std::string_view name);  ///< a suffix is added if the name is in use
  /// Null if there is none.
  Value* FindValue(std::string_view name) const;

  /// Erases nodes and constants that no graph output depends on. Graph inputs stay. Returns true if
  /// something went.
  bool DropDead();
  /// Reorders nodes so that producers come first, keeping the order where it is free. False if
  /// there is a cycle.
  bool SortTopologically();

  /// A deep copy; constants share their recipes.
  Graph Clone() const;

 private:
  Value* NewValue(std::string name);
  std::string FreshName(std::string_view wanted);
  std::string FreshNodeName(std::string_view wanted);
  void EraseValue(Value* value);

  std::string name_ = "main_graph";
  std::list<std::unique_ptr<Node>> nodes_;
  std::list<std::unique_ptr<Value>> values_;
  std::map<std::string, Value*, std::less<>> names_;
  std::vector<Value*> inputs_;
  std::vector<GraphOutput> outputs_;
  std::map<std::string, int64_t, std::less<>> next_suffix_;
  std::set<std::string, std::less<>> node_names_;
  std::map<std::string, int64_t, std::less<>> next_node_suffix_;
};

/// A function of the model (one decoder layer, for example): its graph's inputs and outputs are the
/// formal parameters.
struct Function {
  std::string domain;
  std::string name;
  std::vector<std::string> attribute_names;
  Graph body;
};

/// What one ONNX file holds.
struct Model {
  Graph graph;
  std::vector<Function> functions;
  std::map<std::string, std::string> metadata;
  /// Where it was read from, for messages.
  std::string path;
};

/// Checks structure: producers before readers, every use registered, unique names, no null where
/// outputs need values. Op rules are checked by lib/ops. Returns the first few problems.
Status VerifyStructure(const Graph& graph);

// Reading constants, as passes need it. Null or non-constant values give nothing; only small inline
// or file weights are read.

std::optional<std::vector<int64_t>> ConstantInts(const Value* value);
std::optional<int64_t> ConstantInt(const Value* value);  ///< exactly one element
std::optional<float> ConstantFloat(const Value* value);  ///< exactly one element, of a float dtype

}  // namespace qeff::ir
