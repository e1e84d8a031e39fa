// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Replaces calls of the model's own functions by their bodies, innermost functions included.
//   Before:  f(a) => (b) { b = Add(a, a) }   y = f(x)
//   After:   y = Add(x, x)
// Values and nodes of the body get the call's name as a prefix. Attributes that the body takes from
// the call are filled in. Leaves alone: functions that are ops of ours (CtxScatter, CustomRMSNorm,
// ...): the reader has not kept their bodies.
#include <map>

#include "passes/pass.h"

namespace qeff::passes {
namespace {

constexpr int kMaxInlinedNodes = 10'000'000;

class Inliner {
 public:
  explicit Inliner(ir::Model& model) : model_(model) {
    for (const ir::Function& function : model.functions)
      functions_[{function.domain, function.name}] = &function;
  }

  Result<Change> Run() {
    ir::Graph& graph = model_.graph;
    Change change = Change::kNone;
    for (auto it = graph.nodes().begin(); it != graph.nodes().end();) {
      ir::Node* node = it->get();
      const auto function = functions_.find({node->domain(), node->op_type()});
      if (function == functions_.end()) {
        ++it;
        continue;
      }
      // The body goes in front of the call and is looked at next, so nested calls are inlined too.
      const bool is_first = it == graph.nodes().begin();
      auto before = is_first ? it : std::prev(it);
      QEFF_RETURN_IF_ERROR(Inline(node, *function->second));
      it = is_first ? graph.nodes().begin() : std::next(before);
      change = Change::kChanged;
    }
    return change;
  }

 private:
  Status Inline(ir::Node* call, const ir::Function& function) {
    ir::Graph& graph = model_.graph;
    const ir::Graph& body = function.body;
    if (call->inputs().size() > body.inputs().size() ||
        call->outputs().size() > body.outputs().size()) {
      return InvalidInput(
          Location::Node(model_.path, call->name()),
          fmt::format("call of '{}' has {} inputs and {} outputs, the function {} and {}",
                      function.name, call->inputs().size(), call->outputs().size(),
                      body.inputs().size(), body.outputs().size()));
    }
    if ((inlined_nodes_ += static_cast<int64_t>(body.nodes().size())) > kMaxInlinedNodes) {
      return InvalidInput(Location::Node(model_.path, call->name()), "functions expand without end",
                          {"the model's functions call each other in a circle"});
    }
    std::map<const ir::Value*, ir::Value*> values;
    for (size_t i = 0; i < body.inputs().size(); ++i) values[body.inputs()[i]] = call->input(i);
    const std::string prefix = call->name() + "/";
    for (const ir::Value* constant : body.constants()) {
      values[constant] = graph.AddConstant(prefix + constant->name(), constant->constant());
    }
    for (const auto& node : body.nodes()) {
      ir::NodeSpec spec{
          .domain = node->domain(), .op_type = node->op_type(), .name = prefix + node->name()};
      for (const ir::Value* input : node->inputs())
        spec.inputs.push_back(input ? values.at(input) : nullptr);
      spec.output_names.clear();
      for (const ir::Value* output : node->outputs())
        spec.output_names.push_back(prefix + output->name());
      for (const auto& [name, attribute] : node->attributes()) {
        const auto* reference = std::get_if<ir::AttributeReference>(&attribute);
        const ir::Attribute* given = reference ? call->FindAttribute(reference->name) : &attribute;
        if (given != nullptr) spec.attributes[name] = *given;
      }
      const ir::Node* made = graph.AddNode(std::move(spec), call);
      for (size_t i = 0; i < made->outputs().size(); ++i)
        values[node->outputs()[i]] = made->outputs()[i];
    }
    for (size_t i = 0; i < call->outputs().size(); ++i) {
      const std::string name = call->outputs()[i]->name();
      ir::Value* result = values.at(body.outputs()[i].value);
      if (result == nullptr) {
        return InvalidInput(Location::Node(model_.path, call->name()),
                            fmt::format("output {} of '{}' is an input that the call leaves out", i,
                                        function.name));
      }
      graph.ReplaceAllUses(call->outputs()[i], result);
      graph.RenameValue(call->outputs()[i], name + "_call");
      if (result->producer() != nullptr) graph.RenameValue(result, name);
    }
    graph.EraseNode(call);
    return Status::Ok();
  }

  ir::Model& model_;
  std::map<std::pair<std::string, std::string>, const ir::Function*> functions_;
  int64_t inlined_nodes_ = 0;
};

}  // namespace

Result<Change> InlineFunctions(ir::Model& model, const PassContext&) {
  if (model.functions.empty()) return Change::kNone;
  QEFF_ASSIGN_OR_RETURN(const Change change, Inliner(model).Run());
  model.functions.clear();
  model.graph.DropDead();
  return change | Change::kChanged;
}

}  // namespace qeff::passes
