// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Repeats KV heads that are fewer than the devices, so that a card's compiler can give each device
// whole ones: the cache of a device is then its share instead of everything.
//   Before:  k = qeff.Rope<num_heads = K>(qeff.Linear(x, wk))  v = qeff.Linear(x, wv)
//            o = qeff.Attention<num_kv_heads = K>(q, k, v, position_ids)
//   After:   k = qeff.Rope<num_heads = K * r>(qeff.Linear(x, wk'))  v = qeff.Linear(x, wv')
//            o = qeff.Attention<num_kv_heads = K * r>(q, k, v, position_ids)
// where wk' has the rows of each head r times, one after the other; query head h reads a copy of
// the head that it read before. r is the smallest number from 2 on with which K * r divides both
// the devices and the query heads. Option: devices. Through Rope and RmsNorm of each head the
// repetition reaches the weights; where it cannot, the heads themselves are repeated (Expand).
// Requires: types. Leaves alone: attentions with a past, with as many KV heads as devices or more,
// or without such an r.
#include <charconv>

#include "lib/ops/attention_inputs.h"
#include "lib/support/log.h"
#include "passes/emitter.h"
#include "passes/match.h"
#include "passes/pass.h"

namespace qeff::passes {
namespace {

using enum ops::AttentionInput::Index;

/// How often each of `kv_heads` is to be there; 1: as it is.
int64_t Repetitions(int64_t kv_heads, int64_t heads, int64_t devices) {
  if (kv_heads < 1 || devices <= kv_heads) return 1;
  for (int64_t times = 2; times <= heads / kv_heads; ++times) {
    if (devices % (kv_heads * times) == 0 && heads % (kv_heads * times) == 0) return times;
  }
  return 1;
}

/// The rows of each of `heads` heads `times` times.
ir::WeightPtr RepeatRows(const ir::WeightPtr& weight, int64_t heads, int64_t times) {
  const int64_t rows = weight->dims()[0] / heads;
  std::vector<ir::WeightPtr> parts;
  for (int64_t head = 0; head < heads; ++head) {
    const ir::WeightPtr part = ir::Sliced(weight, 0, head * rows, (head + 1) * rows);
    parts.insert(parts.end(), static_cast<size_t>(times), part);
  }
  return ir::Concatenated(std::move(parts), 0);
}

class Replicator {
 public:
  explicit Replicator(ir::Graph& graph) : graph_(graph) {}

  void Run(ir::Node* attention, int64_t times) {
    const int64_t heads = attention->IntAttribute("num_kv_heads", 0);
    for (const size_t input : {kKey, kValue}) {
      if (!RepeatInWeights(attention->input(input), heads, times))
        attention->SetInput(input, Repeat(attention, attention->input(input), heads, times));
    }
    attention->SetAttribute("num_kv_heads", heads * times);
  }

 private:
  bool IsOwnConstant(const ir::Value* value) const {
    return value->is_constant() && HasOneUse(graph_, value);
  }

  /// Makes the nodes behind `value` [B, T, heads * E] compute every head `times` times. False, with
  /// nothing changed, if they cannot.
  bool RepeatInWeights(const ir::Value* value, int64_t heads, int64_t times) {
    ir::Node* node = value->producer();
    if (node == nullptr || !HasOneUse(graph_, value)) return false;
    const std::string_view per_head = node->IsQeff("Rope")      ? "num_heads"
                                      : node->IsQeff("RmsNorm") ? "num_groups"
                                                                : "";
    if (!per_head.empty()) {
      if (node->IntAttribute(per_head, 0) != heads ||
          !RepeatInWeights(node->input(0), heads, times))
        return false;
      node->SetAttribute(per_head, heads * times);
      return true;
    }
    if (!node->IsQeff("Linear") || !IsOwnConstant(node->input(1))) return false;
    ir::Value* bias = node->input(2);
    if (bias != nullptr && !IsOwnConstant(bias)) return false;
    for (ir::Value* constant : {node->input(1), bias}) {
      if (constant != nullptr)
        constant->set_constant(RepeatRows(constant->constant(), heads, times));
    }
    return true;
  }

  ir::Value* Repeat(const ir::Node* before, ir::Value* value, int64_t heads, int64_t times) {
    const Emitter emit(graph_, before);
    const int64_t head_size = *FixedDim(value, 2) / heads;
    ir::Value* apart = emit.Reshape(value, {0, 0, heads, 1, head_size});
    ir::Value* repeated = emit.Op("Expand", {apart, emit.Ints({1, 1, 1, times, 1})});
    return emit.Reshape(repeated, {0, 0, heads * times * head_size});
  }

  ir::Graph& graph_;
};

}  // namespace

Result<Change> ReplicateKvHeads(ir::Model& model, const PassContext& context) {
  const std::string_view option = context.Option("devices");
  int64_t devices = 0;
  const auto [rest, error] = std::from_chars(option.data(), option.data() + option.size(), devices);
  if (error != std::errc() || rest != option.data() + option.size() || devices < 1)
    return UsageError({}, fmt::format("expected a number of devices, got '{}'", option));
  Change change = Change::kNone;
  Replicator replicator(model.graph);
  for (const auto& node : model.graph.nodes()) {
    if (!node->IsQeff("Attention") || node->input(kPastKey) != nullptr) continue;
    const int64_t kv_heads = node->IntAttribute("num_kv_heads", 0);
    const int64_t times = Repetitions(kv_heads, node->IntAttribute("num_heads", 0), devices);
    if (times == 1 || !FixedDim(node->input(kKey), 2) || !FixedDim(node->input(kValue), 2))
      continue;
    if (change == Change::kNone) {
      LogInfo("{} KV heads do not divide over {} devices: each is kept {} times", kv_heads, devices,
              times);
    }
    replicator.Run(node.get(), times);
    change = Change::kChanged;
  }
  return change;
}

}  // namespace qeff::passes
