// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Lets multi-head latent attention keep its latents instead of keys and values of all heads: the
// projection of the latents is absorbed by the queries and by the result, and what is left is one
// key-value head that all heads share.
//   Before:  parts = Reshape(qeff.Linear(c, w), [0, 0, H, N + V])
//            k = Reshape(Concat(parts[.., :N], Expand(Reshape(r, [0, 0, 1, R]))), [0, 0, H * (N +
//            R)]) v = Reshape(parts[.., N:], [0, 0, H * V])      q = Reshape(Concat(qn, qr), ...)
//            o = qeff.Attention<num_heads = H, num_kv_heads = H>(q, k, v, position_ids)
//   After:   q' = Concat(qn times each head's key rows of w, qr)
//            o' = qeff.Attention<num_heads = H, num_kv_heads = 1>(q', Concat(c, r), c,
//            position_ids) o = o' times each head's value rows of w, transposed
// since q . (w c) = (w^T q) . c, and the same for the mean of values. A token's cache shrinks from
// H * (N + R + V) to 2 L + R numbers, L the size of c, and scores cost (L + R) / (N + R) times as
// much. Runs before add-kv-cache. Requires: types; w a constant. Leaves alone: attentions of
// another form; fails if there is none of this form.
#include "lib/ops/attention_inputs.h"
#include "passes/emitter.h"
#include "passes/match.h"
#include "passes/pass.h"

namespace qeff::passes {
namespace {

using enum ops::AttentionInput::Index;

struct Match {
  ir::Value* unrotated_query = nullptr;  ///< [B, T, H, N]
  ir::Value* rotated_query = nullptr;    ///< [B, T, H, R]
  ir::Value* rotated_key = nullptr;      ///< [B, T, R]
  ir::Value* latent = nullptr;           ///< [B, T, L]
  ir::WeightPtr weight;                  ///< [H * (N + V), L]
  int64_t heads = 0;
  int64_t unrotated_size = 0;  ///< N
  int64_t value_size = 0;      ///< V
};

/// Reshape(Concat<axis = 3>(a, b), ..) -> Concat.
const ir::Node* ConcatOfHeads(const ir::Value* value) {
  const ir::Node* merge = ProducedBy(value, "Reshape");
  const ir::Node* concat = merge ? ProducedBy(merge->input(0), "Concat") : nullptr;
  return concat != nullptr && concat->IntAttribute("axis", 0) == 3 && concat->inputs().size() == 2
             ? concat
             : nullptr;
}

/// The slice of axis 3 that `value` is, if it begins at `begin`.
const ir::Node* SliceFrom(const ir::Value* value, int64_t begin) {
  const ir::Node* slice = ProducedBy(value, "Slice");
  const auto bounds = FindSliceBounds(slice);
  return bounds && bounds->axis == 3 && bounds->step == 1 && bounds->begin == begin ? slice
                                                                                    : nullptr;
}

std::optional<Match> MatchAttention(const ir::Node& node) {
  Match match{.heads = node.IntAttribute("num_heads", 0)};
  const ir::Node* query = ConcatOfHeads(node.input(kQuery));
  const ir::Node* key = ConcatOfHeads(node.input(kKey));
  if (query == nullptr || key == nullptr || node.input(kPastKey) != nullptr ||
      node.IntAttribute("num_kv_heads", 0) != match.heads) {
    return std::nullopt;
  }
  const ir::Node* unrotated = SliceFrom(key->input(0), 0);
  const auto unrotated_size = FixedDim(key->input(0), 3);
  const ir::Node* merge = ProducedBy(node.input(kValue), "Reshape");
  if (unrotated == nullptr || !unrotated_size || merge == nullptr) return std::nullopt;
  const ir::Node* value = SliceFrom(merge->input(0), *unrotated_size);
  const auto value_size = FixedDim(merge->input(0), 3);
  const ir::Node* split = ProducedBy(unrotated->input(0), "Reshape");
  if (value == nullptr || !value_size || split == nullptr || value->input(0) != split->output() ||
      FixedDim(split->output(), 3) != *unrotated_size + *value_size ||
      FixedDim(split->output(), 2) != match.heads) {
    return std::nullopt;
  }
  const ir::Node* linear = ProducedBy(split->input(0), ir::kQeffDomain, "Linear");
  if (linear == nullptr || linear->input(2) != nullptr || !linear->input(1)->is_constant())
    return std::nullopt;
  const ir::Node* repeat = ProducedBy(key->input(1), "Expand");
  const ir::Node* alone = repeat ? ProducedBy(repeat->input(0), "Reshape") : nullptr;
  if (alone == nullptr || FixedDim(alone->output(), 2) != 1 || Rank(alone->input(0)) != 3 ||
      FixedDim(query->input(0), 3) != unrotated_size) {
    return std::nullopt;
  }
  match.unrotated_query = query->input(0);
  match.rotated_query = query->input(1);
  match.rotated_key = alone->input(0);
  match.latent = linear->input(0);
  match.weight = linear->input(1)->constant();
  match.unrotated_size = *unrotated_size;
  match.value_size = *value_size;
  return match;
}

void Replace(ir::Graph& graph, ir::Node* node, const Match& match) {
  const Emitter emit(graph, node);
  const int64_t latent_size = match.weight->dims()[1];
  const int64_t rotated_size = *FixedDim(match.rotated_query, 3);
  const int64_t part_size = match.unrotated_size + match.value_size;
  const ir::WeightPtr by_head = ir::Reshaped(match.weight, {match.heads, part_size, latent_size});
  ir::Value* for_keys = graph.AddConstant(emit.scope() + ".absorbed_keys",
                                          ir::Sliced(by_head, 1, 0, match.unrotated_size));
  ir::Value* for_values = graph.AddConstant(
      emit.scope() + ".absorbed_values",
      ir::Transposed(ir::Sliced(by_head, 1, match.unrotated_size, part_size), {0, 2, 1}));
  const auto times = [&](ir::Value* x, ir::Value* weight) {
    ir::Value* heads_first = emit.Transpose(x, {0, 2, 1, 3});
    return emit.Transpose(emit.Op("MatMul", {heads_first, weight}), {0, 2, 1, 3});
  };
  ir::Value* query = emit.Concat({times(match.unrotated_query, for_keys), match.rotated_query}, 3);
  query = emit.Reshape(query, {0, 0, match.heads * (latent_size + rotated_size)});
  std::vector<ir::Value*> inputs = node->inputs();
  inputs[kQuery] = query;
  inputs[kKey] = emit.Concat({match.latent, match.rotated_key}, 2);
  inputs[kValue] = match.latent;
  ir::AttributeMap attributes = node->attributes();
  attributes["num_kv_heads"] = int64_t{1};
  ir::Value* mixed =
      emit.Op("Attention", std::move(inputs), std::move(attributes), ir::kQeffDomain);
  mixed = times(emit.Reshape(mixed, {0, 0, match.heads, latent_size}), for_values);
  ReplaceNode(graph, node, emit.Reshape(mixed, {0, 0, match.heads * match.value_size}));
}

}  // namespace

Result<Change> KeepLatentCache(ir::Model& model, const PassContext&) {
  std::vector<std::pair<ir::Node*, Match>> found;
  for (const auto& node : model.graph.nodes()) {
    if (!node->IsQeff("Attention")) continue;
    if (auto match = MatchAttention(*node)) found.emplace_back(node.get(), std::move(*match));
  }
  for (const auto& [node, match] : found) Replace(model.graph, node, match);
  if (!found.empty()) model.graph.DropDead();
  return found.empty() ? Change::kNone : Change::kChanged;
}

}  // namespace qeff::passes
