// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Turns each repeated layer into a call of one function, so that the compiler sees a layer once.
//   Before:  /model/layers.0/a ... /model/layers.0/z   /model/layers.1/a ... /model/layers.1/z
//   After:   DecoderLayer(hidden, ...) { a ... z }     DecoderLayer(h0, past_key.0, ..., weights of
//   layer 0)
//            past_key.0_RetainedState, past_value.0_RetainedState, h1 = DecoderLayer(...)   and so
//            on
// A layer is the run of nodes whose names have the same component "layers.N" (or "h.N",
// "blocks.N"). Layers with equal nodes, attributes and wiring share a function; others get one of
// their own, named <name>.1, <name>.2, ... Small constants are copied into the function; weights
// and all that comes from outside are parameters, activations first, in order of first use.
// Results: retained states, then the rest in the order made.
// Option: name (function name, "DecoderLayer" if not given). Leaves alone: nodes outside of layers,
// calls of such functions.
#include <charconv>
#include <map>
#include <set>

#include "passes/pass.h"

namespace qeff::passes {
namespace {

constexpr std::string_view kDomain = "qeff.layers";
constexpr int64_t kLargestInlineElements = 64;

/// Returns N of a component "layers.N", "h.N" or "blocks.N" of the name, -1 if there is none.
int64_t LayerIndex(std::string_view name) {
  while (!name.empty()) {
    const size_t slash = name.find('/');
    const std::string_view part = name.substr(0, slash);
    for (const std::string_view stem : {"layers.", "h.", "blocks."}) {
      if (!part.starts_with(stem)) continue;
      int64_t index = -1;
      const auto digits = part.substr(stem.size());
      const auto [end, error] =
          std::from_chars(digits.data(), digits.data() + digits.size(), index);
      if (error == std::errc() && end == digits.data() + digits.size()) return index;
    }
    if (slash == std::string_view::npos) break;
    name.remove_prefix(slash + 1);
  }
  return -1;
}

bool IsCopied(const ir::Value* value) {
  return value->is_constant() && value->constant()->element_count() <= kLargestInlineElements &&
         std::holds_alternative<ir::InlineBytes>(value->constant()->recipe());
}

/// One layer's nodes and the values that cross its border.
struct Layer {
  std::vector<ir::Node*> nodes;
  std::vector<ir::Value*> parameters;
  std::vector<ir::Value*> results;
  /// Nodes, attributes, wiring by position; equal for layers that can share a function.
  std::string signature;
};

std::string AttributeText(const ir::Attribute& attribute) {
  struct Visitor {
    std::string operator()(int64_t value) const { return std::to_string(value); }
    std::string operator()(float value) const { return fmt::format("{}", value); }
    std::string operator()(const std::string& value) const { return value; }
    std::string operator()(const std::vector<int64_t>& values) const {
      return fmt::format("{}", fmt::join(values, ","));
    }
    std::string operator()(const std::vector<float>& values) const {
      return fmt::format("{}", fmt::join(values, ","));
    }
    std::string operator()(const std::vector<std::string>& values) const {
      return fmt::format("{}", fmt::join(values, ","));
    }
    std::string operator()(const ir::WeightPtr& value) const { return ir::DescribeWeight(*value); }
    std::string operator()(const ir::AttributeReference& value) const { return "@" + value.name; }
  };
  return std::visit(Visitor{}, attribute);
}

Layer DescribeLayer(const ir::Graph& graph, std::vector<ir::Node*> nodes) {
  Layer layer{.nodes = std::move(nodes), .parameters = {}, .results = {}, .signature = {}};
  const std::set<const ir::Node*> inside(layer.nodes.begin(), layer.nodes.end());
  std::vector<ir::Value*> weights;
  std::set<const ir::Value*> seen;
  for (const ir::Node* node : layer.nodes) {
    for (ir::Value* input : node->inputs()) {
      if (input == nullptr || IsCopied(input) || inside.contains(input->producer()) ||
          !seen.insert(input).second)
        continue;
      (input->is_constant() ? weights : layer.parameters).push_back(input);
    }
  }
  layer.parameters.insert(layer.parameters.end(), weights.begin(), weights.end());
  std::vector<ir::Value*> others;
  for (const ir::Node* node : layer.nodes) {
    for (ir::Value* output : node->outputs()) {
      bool crosses = graph.IsOutput(output);
      for (const ir::Use& use : output->uses()) crosses |= !inside.contains(use.node);
      if (!crosses) continue;
      (output->name().ends_with(ir::kRetainedStateSuffix) ? layer.results : others)
          .push_back(output);
    }
  }
  layer.results.insert(layer.results.end(), others.begin(), others.end());

  std::map<const ir::Value*, std::string> labels;
  for (size_t i = 0; i < layer.parameters.size(); ++i) {
    labels[layer.parameters[i]] = fmt::format("p{}:{}", i, layer.parameters[i]->type().ToString());
  }
  int64_t made = 0;
  for (const ir::Node* node : layer.nodes) {
    layer.signature += node->QualifiedOp() + "(";
    for (const ir::Value* input : node->inputs()) {
      if (input == nullptr) {
        layer.signature += "-,";
      } else if (IsCopied(input)) {
        const auto& bytes = std::get<ir::InlineBytes>(input->constant()->recipe()).bytes;
        layer.signature += input->type().ToString() + "=";
        for (const std::byte byte : bytes)
          layer.signature += fmt::format("{:02x}", static_cast<int>(byte));
        layer.signature += ",";
      } else {
        layer.signature += labels.at(input) + ",";
      }
    }
    layer.signature += ")";
    for (const auto& [name, attribute] : node->attributes())
      layer.signature += name + "=" + AttributeText(attribute) + ";";
    for (const ir::Value* output : node->outputs()) labels[output] = fmt::format("v{}", made++);
  }
  for (const ir::Value* result : layer.results) layer.signature += "->" + labels.at(result);
  return layer;
}

/// Builds the function from a layer; names inside are those of the layer's values without its
/// scope.
ir::Function MakeFunction(const Layer& layer, std::string name) {
  ir::Function function{
      .domain = std::string(kDomain), .name = std::move(name), .attribute_names = {}, .body = {}};
  ir::Graph& body = function.body;
  std::map<const ir::Value*, ir::Value*> values;
  for (ir::Value* parameter : layer.parameters)
    values[parameter] = body.AddInput(parameter->name(), {});
  for (const ir::Node* node : layer.nodes) {
    ir::NodeSpec spec{.domain = node->domain(),
                      .op_type = node->op_type(),
                      .attributes = node->attributes(),
                      .name = node->name()};
    for (ir::Value* input : node->inputs()) {
      if (input != nullptr && IsCopied(input) && !values.contains(input)) {
        values[input] = body.AddConstant(input->name(), input->constant());
      }
      spec.inputs.push_back(input ? values.at(input) : nullptr);
    }
    spec.output_names.clear();
    for (const ir::Value* output : node->outputs()) {
      std::string output_name = output->name();
      if (output_name.ends_with(ir::kRetainedStateSuffix)) {
        output_name.replace(output_name.size() - ir::kRetainedStateSuffix.size(), 1, "_Internal");
      }
      spec.output_names.push_back(std::move(output_name));
    }
    const ir::Node* made = body.AddNode(std::move(spec));
    for (size_t i = 0; i < made->outputs().size(); ++i)
      values[node->outputs()[i]] = made->outputs()[i];
  }
  for (const ir::Value* result : layer.results) {
    ir::Value* value = values.at(result);
    body.AddOutput(value->name(), value);
  }
  return function;
}

/// Replaces the layer's nodes by a call.
void ReplaceByCall(ir::Graph& graph, const Layer& layer, const std::string& function,
                   int64_t index) {
  const std::string name = fmt::format("/model/layers.{}/{}", index, function);
  std::vector<std::string> output_names(layer.results.size(), "");
  const ir::Node* call = graph.AddNode({.domain = kDomain,
                                        .op_type = function,
                                        .inputs = layer.parameters,
                                        .name = name,
                                        .output_names = output_names},
                                       layer.nodes.front());
  for (size_t i = 0; i < layer.results.size(); ++i) {
    const std::string result_name = layer.results[i]->name();
    ir::Value* made = call->outputs()[i];
    made->set_type(layer.results[i]->type());
    graph.ReplaceAllUses(layer.results[i], made);
    graph.RenameValue(layer.results[i], result_name + "_inner");
    graph.RenameValue(made, result_name);
  }
  for (auto it = layer.nodes.rbegin(); it != layer.nodes.rend(); ++it) graph.EraseNode(*it);
}

}  // namespace

Result<Change> OutlineLayers(ir::Model& model, const PassContext& context) {
  ir::Graph& graph = model.graph;
  std::map<int64_t, std::vector<ir::Node*>> by_layer;
  for (const auto& node : graph.nodes()) {
    if (node->domain() == kDomain) continue;
    if (const int64_t index = LayerIndex(node->name()); index >= 0)
      by_layer[index].push_back(node.get());
  }
  if (by_layer.empty()) return Change::kNone;
  const std::string base(context.Option("name").empty() ? "DecoderLayer" : context.Option("name"));
  std::map<std::string, std::string> function_by_signature;
  for (auto& [index, nodes] : by_layer) {
    const Layer layer = DescribeLayer(graph, std::move(nodes));
    std::string& function = function_by_signature[layer.signature];
    if (function.empty()) {
      const size_t count = function_by_signature.size();
      function = count == 1 ? base : fmt::format("{}.{}", base, count - 1);
      model.functions.push_back(MakeFunction(layer, function));
    }
    ReplaceByCall(graph, layer, function, index);
  }
  if (!graph.SortTopologically()) {
    return InvalidInput(Location::File(model.path), "a layer depends on a later node of its own");
  }
  graph.DropDead();
  return Change::kChanged;
}

}  // namespace qeff::passes
