// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "passes/padding_region.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "lib/ops/attention_inputs.h"
#include "passes/match.h"
#include "passes/padding_match.h"

namespace qeff::passes {
namespace {

using enum ops::AttentionInput::Index;

/// What says which keys of an attention are padding; null if nothing does.
ir::Value* MaskOf(const ir::Node& attention) {
  ir::Value* mask = attention.input(kKeyMask);
  const ir::Value* positions = attention.input(kPositions);
  if (attention.input(kPastKey) != nullptr || (mask != nullptr && positions != nullptr))
    return nullptr;
  return mask != nullptr ? mask : MaskOfOrder(positions);
}

bool CanBePacked(const ir::Node& node) {
  return node.IsQeff("Attention") && node.input(kSinks) == nullptr &&
         node.FindAttribute("alibi_slopes") == nullptr && node.IntAttribute("chunk_tokens", 0) == 0;
}

/// Ops that compute each row [..., D] of their result from the same row of their operands.
bool IsRowwise(const ir::Node& node) {
  static constexpr std::array<std::string_view, 5> kQeff = {"Activation", "GatedMlp", "Linear",
                                                            "RmsNorm", "Rope"};
  static constexpr std::array<std::string_view, 12> kOnnx = {
      "Add", "Sub", "Mul", "Div", "Cast", "Clip", "Erf", "Exp", "Relu", "Sigmoid", "Sqrt", "Tanh"};
  if (node.domain() == ir::kQeffDomain)
    return std::find(kQeff.begin(), kQeff.end(), node.op_type()) != kQeff.end();
  if (node.IsOnnx("LayerNormalization")) return node.IntAttribute("axis", -1) == -1;
  if (node.IsOnnx("Gather")) {
    return node.IntAttribute("axis", 0) == 0 && node.input(0)->is_constant() &&
           Rank(node.input(0)) == 2 && Rank(node.input(1)) == 2;
  }
  return node.domain().empty() &&
         std::find(kOnnx.begin(), kOnnx.end(), node.op_type()) != kOnnx.end();
}

bool Broadcasts(const ir::Node& node) {
  return node.domain().empty() && !node.IsOnnx("LayerNormalization") && !node.IsOnnx("Gather");
}

/// True if every row sees the same elements of it.
bool IsSameForAll(const ir::Node& node, const ir::Value* value, int rank) {
  if (!Broadcasts(node)) return value->is_constant();
  if (!value->type().shape) return false;
  const ir::Shape& shape = *value->type().shape;
  for (int axis = rank - static_cast<int>(shape.size()); axis < 2; ++axis) {
    const size_t i = static_cast<size_t>(axis + static_cast<int>(shape.size()) - rank);
    if (axis < 0 || shape[i] != ir::Dim(1)) return false;
  }
  return true;
}

}  // namespace

ir::Value* FindSharedMask(const ir::Graph& graph) {
  ir::Value* mask = nullptr;
  for (const auto& node : graph.nodes()) {
    if (!node->IsQeff("Attention")) continue;
    ir::Value* own = MaskOf(*node);
    if (own == nullptr || (mask != nullptr && own != mask)) return nullptr;
    mask = own;
  }
  // Sizes tell what has tokens: a number could be the same by chance.
  return mask != nullptr && Rank(mask) == 2 && (*mask->type().shape)[1].is_symbol() ? mask
                                                                                    : nullptr;
}

bool IsCausal(const ir::Node& attention) { return attention.input(kKeyMask) == nullptr; }

PaddingRegion::PaddingRegion(const ir::Graph& graph, const ir::Value* mask)
    : graph_(graph), mask_(mask) {
  FindMasks();
  FindInside();
}

std::vector<ir::Node*> PaddingRegion::Nodes() const {
  std::vector<ir::Node*> nodes;
  for (const auto& node : graph_.nodes()) {
    if (Contains(node.get())) nodes.push_back(node.get());
  }
  return nodes;
}

void PaddingRegion::Replace(const ir::Node* node, const ir::Node* replacement) {
  inside_.erase(node);
  inside_.insert(replacement);
}

bool PaddingRegion::HasTokens(const ir::Value* value) const {
  const auto& shape = value->type().shape;
  return shape && shape->size() >= 2 && ir::SameSize((*shape)[0], batch()) &&
         ir::SameSize((*shape)[1], tokens());
}

bool PaddingRegion::RepeatsTokens(const ir::Value* value, int rank) const {
  const auto& shape = value->type().shape;
  if (!shape) return false;
  const int missing = rank - static_cast<int>(shape->size());
  if (missing == 1) return rank == 3 && ir::SameSize((*shape)[0], tokens());
  return missing == 0 && (*shape)[0] == ir::Dim(1) && ir::SameSize((*shape)[1], tokens());
}

/// True if the value is the mask in floats [B, S, 1].
bool PaddingRegion::IsTokenWeight(const ir::Value* value) const {
  if (Rank(value) != 3 || !HasTokens(value) || !IsFloat(value->type().dtype.value_or(DType::kI64)))
    return false;
  for (const ir::Node* node = value->producer(); node != nullptr; node = value->producer()) {
    if (!node->IsOnnx("Cast") && !node->IsOnnx("Unsqueeze")) return false;
    value = node->input(0);
  }
  return value == mask_;
}

/// True if `node` multiplies states with the mask at `input`.
bool PaddingRegion::MakesZeros(const ir::Node& node, const ir::Value* input) const {
  if (!node.IsOnnx("Mul") || node.inputs().size() != 2 || !IsTokenWeight(input)) return false;
  const ir::Value* states = node.input(node.input(0) == input ? 1 : 0);
  return HasTokens(states) && !masks_.contains(states);
}

bool PaddingRegion::MayBeInside(const ir::Node& node) const {
  if (node.outputs().size() != 1 || !IsRowwise(node) || !HasTokens(node.output())) return false;
  const int rank = Rank(node.output());
  return std::all_of(node.inputs().begin(), node.inputs().end(), [&](const ir::Value* input) {
    if (masks_.contains(input) && !node.IsOnnx("Gather")) return MakesZeros(node, input);
    if (input == nullptr || IsSameForAll(node, input, rank)) return true;
    if (node.IsOnnx("Gather")) return HasTokens(input);
    if (Rank(input) != rank) return Broadcasts(node) && RepeatsTokens(input, rank);
    return HasTokens(input) || RepeatsTokens(input, rank);
  });
}

/// After the attentions: all operands with tokens are inside.
bool PaddingRegion::FollowsInside(const ir::Node& node) const {
  bool follows = false;
  for (const ir::Value* input : node.inputs()) {
    if (input == nullptr || MakesZeros(node, input)) continue;
    if (Computes(input)) {
      follows = true;
    } else if (HasTokens(input) || RepeatsTokens(input, Rank(node.output()))) {
      return false;
    }
  }
  return follows;
}

/// Before the attentions: all readers are inside.
bool PaddingRegion::LeadsInside(const ir::Node& node) const {
  const ir::Value* output = node.output();
  return !graph_.IsOutput(output) && !output->uses().empty() &&
         std::all_of(output->uses().begin(), output->uses().end(),
                     [&](const ir::Use& use) { return Contains(use.node); });
}

/// True if rows of padding are zero with padding, too.
bool PaddingRegion::IsZeroAtPadding(const ir::Value* value) const {
  if (!Computes(value)) return false;
  const ir::Node* node = value->producer();
  const auto is_zero = [&](const ir::Value* input) {
    return input != nullptr && (MakesZeros(*node, input) || IsZeroAtPadding(input));
  };
  if (node->IsOnnx("Mul"))
    return std::any_of(node->inputs().begin(), node->inputs().end(), is_zero);
  const bool keeps_zero = (node->IsQeff("Linear") && node->inputs().size() == 2) ||
                          node->IsQeff("RmsNorm") || node->IsOnnx("Cast");
  return keeps_zero && is_zero(node->input(0));
}

/// What is computed from the mask, other than by attention and by products that make zeros.
void PaddingRegion::FindMasks() {
  masks_ = {mask_};
  for (const auto& node : graph_.nodes()) {
    if (node->IsQeff("Attention")) continue;
    const auto matters = [&](const ir::Value* input) {
      return masks_.contains(input) && !MakesZeros(*node, input);
    };
    const bool is_mask = std::any_of(node->inputs().begin(), node->inputs().end(), matters);
    if (is_mask) masks_.insert(node->outputs().begin(), node->outputs().end());
  }
}

/// All nodes that may be inside, less those that are neither before nor after others of them.
void PaddingRegion::FindInside() {
  std::vector<ir::Node*> candidates;
  for (const auto& node : graph_.nodes()) {
    const bool is_packed = CanBePacked(*node);
    if (is_packed || MayBeInside(*node)) inside_.insert(node.get());
    if (!is_packed && Contains(node.get())) candidates.push_back(node.get());
  }
  for (size_t before = 0; before != inside_.size();) {
    before = inside_.size();
    for (ir::Node* node : candidates) {
      if (!FollowsInside(*node) && !LeadsInside(*node)) inside_.erase(node);
    }
    std::set<const ir::Value*> seen;
    for (const auto& node : graph_.nodes()) {
      if (node->IsQeff("CausalConv") || node->IsQeff("GatedDeltaRule") || node->IsOnnx("Conv"))
        LeaveToMixing(*node, seen);
    }
  }
}

/// Puts outside what `node`, which is, reads of rows of padding that are not zero.
void PaddingRegion::LeaveToMixing(const ir::Node& node, std::set<const ir::Value*>& seen) {
  for (const ir::Value* input : node.inputs()) {
    if (input == nullptr || input->producer() == nullptr || IsZeroAtPadding(input)) continue;
    if (!seen.insert(input).second) continue;
    inside_.erase(input->producer());
    LeaveToMixing(*input->producer(), seen);
  }
}

}  // namespace qeff::passes
