// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/ir/graph.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <unordered_map>

namespace qeff::ir {

bool SameAttribute(const Attribute& a, const Attribute& b) {
  if (a.index() != b.index()) return false;
  if (const auto* weight = std::get_if<WeightPtr>(&a)) {
    return SameRecipe(**weight, *std::get<WeightPtr>(b));
  }
  return a == b;
}

void Value::set_constant(WeightPtr weight) {
  QEFF_CHECK(constant_ != nullptr, "'{}' is not a constant", name_);
  type_ = weight->type();
  constant_ = std::move(weight);
}

void Node::SetInput(size_t index, Value* value) {
  if (index >= inputs_.size()) inputs_.resize(index + 1, nullptr);
  if (Value* old = inputs_[index]) {
    std::erase_if(old->uses_, [&](const Use& use) {
      return use.node == this && use.input_index == static_cast<int>(index);
    });
  }
  inputs_[index] = value;
  if (value != nullptr) value->uses_.push_back({this, static_cast<int>(index)});
}

void Node::EraseAttribute(std::string_view name) {
  if (const auto found = attributes_.find(name); found != attributes_.end())
    attributes_.erase(found);
}

const Attribute* Node::FindAttribute(std::string_view name) const {
  const auto found = attributes_.find(name);
  return found == attributes_.end() ? nullptr : &found->second;
}

int64_t Node::IntAttribute(std::string_view name, int64_t fallback) const {
  const Attribute* attribute = FindAttribute(name);
  const auto* value = attribute ? std::get_if<int64_t>(attribute) : nullptr;
  return value ? *value : fallback;
}

float Node::FloatAttribute(std::string_view name, float fallback) const {
  const Attribute* attribute = FindAttribute(name);
  const auto* value = attribute ? std::get_if<float>(attribute) : nullptr;
  return value ? *value : fallback;
}

std::string Node::StringAttribute(std::string_view name, std::string_view fallback) const {
  const Attribute* attribute = FindAttribute(name);
  const auto* value = attribute ? std::get_if<std::string>(attribute) : nullptr;
  return value ? *value : std::string(fallback);
}

std::vector<int64_t> Node::IntsAttribute(std::string_view name) const {
  const Attribute* attribute = FindAttribute(name);
  const auto* value = attribute ? std::get_if<std::vector<int64_t>>(attribute) : nullptr;
  return value ? *value : std::vector<int64_t>();
}

std::vector<Value*> Graph::constants() const {
  std::vector<Value*> found;
  for (const auto& value : values_) {
    if (value->is_constant()) found.push_back(value.get());
  }
  return found;
}

Value* Graph::FindInput(std::string_view name) const {
  for (Value* input : inputs_) {
    if (input->name() == name) return input;
  }
  return nullptr;
}

Value* Graph::FindOutput(std::string_view name) const {
  for (const GraphOutput& output : outputs_) {
    if (output.name == name) return output.value;
  }
  return nullptr;
}

Value* Graph::FindValue(std::string_view name) const {
  const auto found = names_.find(name);
  return found == names_.end() ? nullptr : found->second;
}

std::string Graph::FreshName(std::string_view wanted) {
  std::string base(wanted.empty() ? "value" : wanted);
  if (!wanted.empty() && !names_.contains(base)) return base;
  int64_t& suffix = next_suffix_[base];
  std::string name;
  do {
    name = base + "_" + std::to_string(++suffix);
  } while (names_.contains(name));
  return name;
}

std::string Graph::FreshNodeName(std::string_view wanted) {
  std::string name(wanted);
  while (!node_names_.insert(name).second) {
    name = fmt::format("{}_{}", wanted, ++next_node_suffix_[std::string(wanted)]);
  }
  return name;
}

Value* Graph::NewValue(std::string name) {
  auto owned = std::make_unique<Value>();
  Value* value = owned.get();
  value->name_ = FreshName(name);
  names_[value->name_] = value;
  value->position_ = values_.insert(values_.end(), std::move(owned));
  return value;
}

void Graph::EraseValue(Value* value) {
  names_.erase(value->name_);
  values_.erase(value->position_);
}

Value* Graph::AddInput(std::string name, TensorType type, std::optional<size_t> index) {
  QEFF_CHECK(!names_.contains(name), "graph input '{}' exists", name);
  Value* input = NewValue(std::move(name));
  input->is_input_ = true;
  input->type_ = std::move(type);
  inputs_.insert(index ? inputs_.begin() + static_cast<int64_t>(*index) : inputs_.end(), input);
  return input;
}

void Graph::EraseInput(Value* input) {
  QEFF_CHECK(!IsUsed(input), "graph input '{}' is in use", input->name());
  std::erase(inputs_, input);
  EraseValue(input);
}

Value* Graph::AddConstant(std::string name, WeightPtr weight) {
  Value* constant = NewValue(name.empty() ? "constant" : std::move(name));
  constant->type_ = weight->type();
  constant->constant_ = std::move(weight);
  return constant;
}

Node* Graph::AddNode(NodeSpec spec, const Node* before) {
  auto owned = std::make_unique<Node>();
  Node* node = owned.get();
  node->domain_ = spec.domain;
  node->op_type_ = spec.op_type;
  node->name_ = FreshNodeName(spec.name.empty() ? spec.op_type : std::string_view(spec.name));
  node->attributes_ = std::move(spec.attributes);
  for (size_t i = 0; i < spec.inputs.size(); ++i) node->SetInput(i, spec.inputs[i]);
  while (!node->inputs_.empty() && node->inputs_.back() == nullptr) node->inputs_.pop_back();
  for (size_t i = 0; i < spec.output_names.size(); ++i) {
    std::string name = std::move(spec.output_names[i]);
    if (name.empty()) name = node->name_ + "_output_" + std::to_string(i);
    Value* output = NewValue(std::move(name));
    output->producer_ = node;
    output->output_index_ = static_cast<int>(i);
    node->outputs_.push_back(output);
  }
  node->position_ =
      nodes_.insert(before == nullptr ? nodes_.end() : before->position_, std::move(owned));
  return node;
}

void Graph::EraseNode(Node* node) {
  for (Value* output : node->outputs_) {
    QEFF_CHECK(!IsUsed(output), "output '{}' of node '{}' is in use", output->name(), node->name());
  }
  for (size_t i = 0; i < node->inputs_.size(); ++i) node->SetInput(i, nullptr);
  for (Value* output : node->outputs_) EraseValue(output);
  node_names_.erase(node->name_);
  nodes_.erase(node->position_);
}

void Graph::EraseConstant(Value* constant) {
  QEFF_CHECK(constant->is_constant() && !IsUsed(constant), "constant '{}' is in use",
             constant->name());
  EraseValue(constant);
}

void Graph::ReplaceAllUses(Value* from, Value* to) {
  const std::vector<Use> uses = from->uses_;
  for (const Use& use : uses) use.node->SetInput(static_cast<size_t>(use.input_index), to);
  for (GraphOutput& output : outputs_) {
    if (output.value == from) output.value = to;
  }
}

bool Graph::IsOutput(const Value* value) const {
  return std::any_of(outputs_.begin(), outputs_.end(),
                     [value](const GraphOutput& output) { return output.value == value; });
}

bool Graph::IsUsed(const Value* value) const { return !value->uses_.empty() || IsOutput(value); }

void Graph::RenameValue(Value* value, std::string_view name) {
  if (value->name_ == name) return;
  names_.erase(value->name_);
  value->name_ = FreshName(name);
  names_[value->name_] = value;
}

bool Graph::DropDead() {
  std::set<const Value*> results;
  for (const GraphOutput& output : outputs_) results.insert(output.value);
  std::set<const Node*> dead_nodes;
  std::set<const Value*> dead_values;
  for (auto it = nodes_.rbegin(); it != nodes_.rend(); ++it) {
    Node* node = it->get();
    const bool live = std::any_of(
        node->outputs_.begin(), node->outputs_.end(),
        [&](const Value* output) { return !output->uses_.empty() || results.contains(output); });
    if (live) continue;
    for (size_t i = 0; i < node->inputs_.size(); ++i) node->SetInput(i, nullptr);
    for (const Value* output : node->outputs_) dead_values.insert(output);
    node_names_.erase(node->name_);
    dead_nodes.insert(node);
  }
  for (const auto& value : values_) {
    if (value->is_constant() && value->uses_.empty() && !results.contains(value.get())) {
      dead_values.insert(value.get());
    }
  }
  for (const Value* value : dead_values) names_.erase(value->name_);
  std::erase_if(nodes_, [&](const auto& node) { return dead_nodes.contains(node.get()); });
  std::erase_if(values_, [&](const auto& value) { return dead_values.contains(value.get()); });
  return !dead_nodes.empty() || !dead_values.empty();
}

bool Graph::SortTopologically() {
  std::unordered_map<const Node*, size_t> missing;
  std::list<std::unique_ptr<Node>> sorted;
  // Repeated sweeps would be quadratic: a node is emitted depth first, before the first node that
  // needs it.
  enum class Mark { kOpen, kDone };
  std::unordered_map<const Node*, Mark> marks;
  std::vector<Node*> order;
  for (const auto& root : nodes_) {
    std::vector<std::pair<Node*, size_t>> stack;
    if (marks.contains(root.get())) continue;
    stack.emplace_back(root.get(), 0);
    marks[root.get()] = Mark::kOpen;
    while (!stack.empty()) {
      auto& [node, next] = stack.back();
      if (next < node->inputs_.size()) {
        const Value* input = node->inputs_[next++];
        Node* producer = input ? input->producer_ : nullptr;
        if (producer == nullptr) continue;
        const auto mark = marks.find(producer);
        if (mark == marks.end()) {
          marks[producer] = Mark::kOpen;
          stack.emplace_back(producer, 0);
        } else if (mark->second == Mark::kOpen) {
          return false;
        }
      } else {
        marks[node] = Mark::kDone;
        order.push_back(node);
        stack.pop_back();
      }
    }
  }
  for (Node* node : order) sorted.splice(sorted.end(), nodes_, node->position_);
  nodes_ = std::move(sorted);
  for (auto it = nodes_.begin(); it != nodes_.end(); ++it) (*it)->position_ = it;
  return true;
}

Graph Graph::Clone() const {
  Graph copy;
  copy.name_ = name_;
  std::unordered_map<const Value*, Value*> copies;
  for (const auto& value : values_) {
    auto owned = std::make_unique<Value>();
    owned->name_ = value->name_;
    owned->type_ = value->type_;
    owned->output_index_ = value->output_index_;
    owned->is_input_ = value->is_input_;
    owned->constant_ = value->constant_;
    copies[value.get()] = owned.get();
    Value* made = owned.get();
    copy.names_[made->name_] = made;
    made->position_ = copy.values_.insert(copy.values_.end(), std::move(owned));
  }
  for (const auto& node : nodes_) {
    auto owned = std::make_unique<Node>();
    Node* made = owned.get();
    made->domain_ = node->domain_;
    made->op_type_ = node->op_type_;
    made->name_ = node->name_;
    made->attributes_ = node->attributes_;
    for (size_t i = 0; i < node->inputs_.size(); ++i) {
      made->SetInput(i, node->inputs_[i] ? copies.at(node->inputs_[i]) : nullptr);
    }
    for (const Value* output : node->outputs_) {
      Value* copied = copies.at(output);
      copied->producer_ = made;
      made->outputs_.push_back(copied);
    }
    made->position_ = copy.nodes_.insert(copy.nodes_.end(), std::move(owned));
  }
  for (const Value* input : inputs_) copy.inputs_.push_back(copies.at(input));
  for (const GraphOutput& output : outputs_) {
    copy.outputs_.push_back({output.name, copies.at(output.value), output.declared_shape});
  }
  copy.next_suffix_ = next_suffix_;
  copy.node_names_ = node_names_;
  copy.next_node_suffix_ = next_node_suffix_;
  return copy;
}

Status VerifyStructure(const Graph& graph) {
  Diagnostics diagnostics;
  std::set<const Value*> known(graph.inputs().begin(), graph.inputs().end());
  std::set<const Value*> seen;
  std::set<std::tuple<const Value*, const Node*, int>> registered;
  int64_t index = 0;
  for (const auto& node : graph.nodes()) {
    const Location where = Location::Node("", node->name(), index++);
    for (size_t i = 0; i < node->inputs().size(); ++i) {
      const Value* input = node->inputs()[i];
      if (input == nullptr) continue;
      if (!input->is_constant() && !known.contains(input)) {
        diagnostics.AddError(where,
                             fmt::format("input '{}' is used before it is made", input->name()));
      }
      if (seen.insert(input).second) {
        for (const Use& use : input->uses()) registered.emplace(input, use.node, use.input_index);
      }
      if (!registered.contains({input, node.get(), static_cast<int>(i)}))
        diagnostics.AddError(where, fmt::format("use of '{}' is not registered", input->name()));
    }
    for (const Value* output : node->outputs()) known.insert(output);
  }
  std::set<std::string> names;
  for (const GraphOutput& output : graph.outputs()) {
    if (output.value == nullptr ||
        (!output.value->is_constant() && !known.contains(output.value))) {
      diagnostics.AddError(Location::Node("", output.name),
                           "graph output is not made by the graph");
    }
    if (!names.insert(output.name).second) {
      diagnostics.AddError(Location::Node("", output.name), "two graph outputs have this name");
    }
  }
  return diagnostics.ToStatus();
}

std::optional<std::vector<int64_t>> ConstantInts(const Value* value) {
  constexpr int64_t kMostElements = 4096;
  if (value == nullptr || !value->is_constant()) return std::nullopt;
  const Weight& weight = *value->constant();
  if (IsFloat(weight.dtype()) || weight.element_count() > kMostElements) return std::nullopt;
  Result<std::vector<int64_t>> ints = ReadInts(weight);
  if (!ints.ok()) return std::nullopt;
  return std::move(ints).value();
}

std::optional<int64_t> ConstantInt(const Value* value) {
  const auto ints = ConstantInts(value);
  if (!ints || ints->size() != 1) return std::nullopt;
  return ints->front();
}

std::optional<float> ConstantFloat(const Value* value) {
  if (value == nullptr || !value->is_constant()) return std::nullopt;
  const Weight& weight = *value->constant();
  if (!IsFloat(weight.dtype()) || weight.element_count() != 1) return std::nullopt;
  Result<std::vector<float>> floats = ReadFloats(weight);
  if (!floats.ok()) return std::nullopt;
  return floats->front();
}

}  // namespace qeff::ir
