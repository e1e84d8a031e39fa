// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Gives every attention a key and a value cache that the caller keeps between calls.
//   Before:  o = qeff.Attention<num_heads, num_kv_heads, ...>(q, k, v, position_ids)          c =
//   qeff.ContextLength(position_ids) After:   o, past_key.0_RetainedState,
//   past_value.0_RetainedState = qeff.Attention<...>(q, k, v, position_ids,
//                past_key.0, past_value.0)                                                   c =
//                Gather(Shape(past_key.0), 2)
// The graph gains inputs past_key.i [batch_size, K, ctx_len, E] and past_value.i in layer order
// after position_ids, and the matching outputs after the existing ones. Requires: q, k, v with
// static last dimensions; position_ids a graph input. Leaves alone: attentions that have a cache
// already, and attentions without position_ids (encoders).
#include <algorithm>

#include "passes/pass.h"

namespace qeff::passes {
namespace {

constexpr size_t kPastKeyInput = 4;

/// Returns the number of channels of one head of `value` [B, T, heads * E].
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

struct Cache {
  ir::Value* input;
  std::string name;
};

}  // namespace

Result<Change> AddKvCache(ir::Model& model, const PassContext&) {
  ir::Graph& graph = model.graph;
  ir::Value* position_ids = graph.FindInput("position_ids");
  if (position_ids == nullptr) return Change::kNone;
  std::vector<ir::Node*> attentions;
  std::vector<ir::Node*> lengths;
  for (const auto& node : graph.nodes()) {
    if (node->IsQeff("Attention") && node->input(3) != nullptr &&
        node->input(kPastKeyInput) == nullptr) {
      attentions.push_back(node.get());
    }
    if (node->IsQeff("ContextLength")) lengths.push_back(node.get());
  }
  if (attentions.empty()) return Change::kNone;

  size_t at = 0;
  while (graph.inputs()[at] != position_ids) ++at;
  ir::Value* first_cache = nullptr;
  for (size_t layer = 0; layer < attentions.size(); ++layer) {
    ir::Node* old = attentions[layer];
    const int64_t kv_heads = old->IntAttribute("num_kv_heads", 0);
    QEFF_ASSIGN_OR_RETURN(const int64_t key_size, HeadSize(*old, 1, kv_heads));
    QEFF_ASSIGN_OR_RETURN(const int64_t value_size, HeadSize(*old, 2, kv_heads));
    const std::string key_name = fmt::format("past_key.{}", layer);
    const std::string value_name = fmt::format("past_value.{}", layer);
    const auto add = [&](const std::string& name, int64_t size, size_t input) {
      return graph.AddInput(
          name,
          {old->input(input)->type().dtype, ir::Shape{"batch_size", kv_heads, "ctx_len", size}},
          ++at);
    };
    ir::Value* past_key = add(key_name, key_size, 1);
    ir::Value* past_value = add(value_name, value_size, 2);
    if (first_cache == nullptr) first_cache = past_key;

    std::vector<ir::Value*> inputs = old->inputs();
    inputs.resize(std::max(inputs.size(), kPastKeyInput + 2), nullptr);  // sinks may follow
    inputs[kPastKeyInput] = past_key;
    inputs[kPastKeyInput + 1] = past_value;
    const std::string suffix(ir::kRetainedStateSuffix);
    ir::Node* made = graph.AddNode({.domain = ir::kQeffDomain,
                                    .op_type = "Attention",
                                    .inputs = std::move(inputs),
                                    .attributes = old->attributes(),
                                    .name = old->name(),
                                    .output_names = {"", key_name + suffix, value_name + suffix}},
                                   old);
    const std::string output_name = old->output()->name();
    graph.ReplaceAllUses(old->output(), made->output());
    graph.EraseNode(old);
    graph.RenameValue(made->output(), output_name);
    graph.AddOutput(key_name + suffix, made->output(1));
    graph.AddOutput(value_name + suffix, made->output(2));
  }
  for (ir::Node* node : lengths) {
    ir::Value* shape = graph.Add(
        {.op_type = "Shape", .inputs = {first_cache}, .name = node->name() + "/Shape"}, node);
    ir::Value* axis = graph.AddConstant(node->name() + "/axis", ir::MakeIntScalar(2));
    ir::Value* length = graph.Add(
        {.op_type = "Gather", .inputs = {shape, axis}, .name = node->name() + "/Gather"}, node);
    graph.ReplaceAllUses(node->output(), length);
    graph.EraseNode(node);
  }
  return Change::kChanged;
}

}  // namespace qeff::passes
