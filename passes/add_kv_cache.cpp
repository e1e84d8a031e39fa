// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Gives every op that can remember earlier tokens a state that the caller keeps between calls.
//   Before:  o = qeff.Attention<num_heads, num_kv_heads, ...>(q, k, v, position_ids)
//            c = qeff.ContextLength(position_ids)
//   After:   o, past_key.0_RetainedState, past_value.0_RetainedState = qeff.Attention<...>(q, k, v,
//                position_ids, past_key.0, past_value.0)
//            c = Gather(Shape(past_key.0), 2)
// Likewise qeff.CausalConv with conv_state.i and qeff.GatedDeltaRule with recurrent_state.i; what a
// convolution and the rule behind it remember has one number. The graph gains the inputs after
// position_ids, in the order of the nodes (past_key.i [batch_size, K, ctx_len, E], past_value.i,
// conv_state.i [batch_size, C, N], recurrent_state.i [batch_size, Hv, E, Ev]), and the matching
// outputs after the existing ones. Requires: static last dimensions; position_ids a graph input.
// Leaves alone: ops that have their states already, and attentions without position_ids (encoders).
#include <set>

#include "lib/ops/attention.h"
#include "passes/pass.h"
#include "passes/retained_state.h"

namespace qeff::passes {
namespace {

/// Returns the number of channels of one of `heads` heads of `value` [B, T, heads * E].
Result<int64_t> HeadSize(const ir::Node& node, size_t input, int64_t heads) {
  const ir::TensorType& type = node.input(input)->type();
  if (!type.shape || type.shape->size() != 3 || !type.shape->back().is_number() || heads <= 0 ||
      type.shape->back().value() % heads != 0) {
    return InvalidInput(Location::Node("", node.name()),
                        fmt::format("expected [B, T, {} * E] with a fixed last dimension, got {}",
                                    heads, type.ToString()));
  }
  return type.shape->back().value() / heads;
}

/// The shapes of the states of `node`, without their rows.
Result<std::vector<ir::Shape>> StateShapes(const ir::Node& node) {
  if (node.IsQeff("CausalConv")) {
    const ir::TensorType& weight = node.input(1)->type();
    if (!weight.shape || !ir::StaticDims(*weight.shape)) {
      return InvalidInput(
          Location::Node("", node.name()),
          fmt::format("expected a weight of fixed size, got {}", weight.ToString()));
    }
    return std::vector<ir::Shape>{{(*weight.shape)[0], (*weight.shape)[2]}};
  }
  if (node.IsQeff("GatedDeltaRule")) {
    const int64_t heads = node.IntAttribute("num_value_heads", 0);
    QEFF_ASSIGN_OR_RETURN(const int64_t key_size,
                          HeadSize(node, 1, node.IntAttribute("num_key_heads", 0)));
    QEFF_ASSIGN_OR_RETURN(const int64_t value_size, HeadSize(node, 2, heads));
    return std::vector<ir::Shape>{{heads, key_size, value_size}};
  }
  const int64_t heads = node.IntAttribute("num_kv_heads", 0);
  QEFF_ASSIGN_OR_RETURN(const int64_t key_size, HeadSize(node, 1, heads));
  QEFF_ASSIGN_OR_RETURN(const int64_t value_size, HeadSize(node, 2, heads));
  const char* slots = ops::ReadAttentionAttributes(node).ring_cache ? "sliding_window" : "ctx_len";
  return std::vector<ir::Shape>{{heads, slots, key_size}, {heads, slots, value_size}};
}

/// Numbers states by mixer: an attention has a number of its own, a convolution and the rule behind
/// it share one.
class Numbering {
 public:
  int64_t NumberOf(const ir::Node& node) {
    const bool is_new = node.IsQeff("Attention") || kinds_.contains("Attention") ||
                        kinds_.contains(node.op_type()) || kinds_.empty();
    if (is_new) kinds_.clear();
    kinds_.insert(node.op_type());
    return number_ += is_new ? 1 : 0;
  }

 private:
  int64_t number_ = -1;
  std::set<std::string> kinds_;  ///< that have the number
};

class CacheAdder {
 public:
  /// The states become inputs behind `before`.
  CacheAdder(ir::Graph& graph, const ir::Value* before) : graph_(graph) {
    while (graph.inputs()[at_] != before) ++at_;
  }

  Status Add(ir::Node* old) {
    const StatefulOp& op = *FindStatefulOp(*old);
    QEFF_ASSIGN_OR_RETURN(const std::vector<ir::Shape> shapes, StateShapes(*old));
    const int64_t number = numbering_.NumberOf(*old);
    std::vector<ir::Value*> inputs = old->inputs();
    std::vector<std::string> outputs = {""};
    if (inputs.size() < op.first_state + shapes.size())
      inputs.resize(op.first_state + shapes.size(), nullptr);
    for (size_t i = 0; i < shapes.size(); ++i) {
      ir::Shape shape = shapes[i];
      shape.insert(shape.begin(), ir::Dim("batch_size"));
      const std::string name = fmt::format("{}.{}", op.names[i], number);
      inputs[op.first_state + i] =
          graph_.AddInput(name, {old->output()->type().dtype, std::move(shape)}, ++at_);
      outputs.push_back(name + std::string(ir::kRetainedStateSuffix));
    }
    if (first_key_ == nullptr && old->IsQeff("Attention") &&
        !ops::ReadAttentionAttributes(*old).ring_cache)
      first_key_ = inputs[op.first_state];
    ir::Node* made = graph_.AddNode({.domain = ir::kQeffDomain,
                                     .op_type = old->op_type(),
                                     .inputs = std::move(inputs),
                                     .attributes = old->attributes(),
                                     .name = old->name(),
                                     .output_names = outputs},
                                    old);
    const std::string output_name = old->output()->name();
    made->output()->set_type(old->output()->type());  // the shapes of states behind it follow
    graph_.ReplaceAllUses(old->output(), made->output());
    graph_.EraseNode(old);
    graph_.RenameValue(made->output(), output_name);
    for (size_t i = 1; i < outputs.size(); ++i) graph_.AddOutput(outputs[i], made->output(i));
    return Status::Ok();
  }

  /// Null if no attention has got a cache.
  ir::Value* first_key() const { return first_key_; }

 private:
  ir::Graph& graph_;
  size_t at_ = 0;  ///< the last input before the next state
  Numbering numbering_;
  ir::Value* first_key_ = nullptr;
};

}  // namespace

Result<Change> AddKvCache(ir::Model& model, const PassContext& context) {
  ir::Graph& graph = model.graph;
  if (graph.FindInput("position_ids") == nullptr) return Change::kNone;
  const std::string_view after = context.Option("after");
  const ir::Value* before = graph.FindInput(after.empty() ? "position_ids" : after);
  if (before == nullptr) {
    return InvalidInput(Location::File(model.path),
                        fmt::format("the graph has no input '{}'", after));
  }
  const std::vector<ir::Node*> nodes = NodesWithoutState(graph);
  if (nodes.empty()) return Change::kNone;
  CacheAdder adder(graph, before);
  for (ir::Node* node : nodes) QEFF_RETURN_IF_ERROR(adder.Add(node));
  if (adder.first_key() == nullptr) return Change::kChanged;

  std::vector<ir::Node*> lengths;
  for (const auto& node : graph.nodes()) {
    if (node->IsQeff("ContextLength")) lengths.push_back(node.get());
  }
  for (ir::Node* node : lengths) {
    ir::Value* shape = graph.Add(
        {.op_type = "Shape", .inputs = {adder.first_key()}, .name = node->name() + "/Shape"}, node);
    ir::Value* axis = graph.AddConstant(node->name() + "/axis", ir::MakeIntScalar(2));
    ir::Value* length = graph.Add(
        {.op_type = "Gather", .inputs = {shape, axis}, .name = node->name() + "/Gather"}, node);
    graph.ReplaceAllUses(node->output(), length);
    graph.EraseNode(node);
  }
  return Change::kChanged;
}

}  // namespace qeff::passes
