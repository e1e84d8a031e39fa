// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Computes the tokens of a masked batch without its padding: what lies between the embedding and
// the last block works on the rows of the tokens, one after the other.
//   Before:  x = Add(Gather(table, input_ids), positions)             [B, S, D]
//            o = qeff.Attention(Linear(x), Linear(x), Linear(x), key_mask = mask, bias = b)
//            y = Add(x, Linear(o))
//   After:   index, starts = qeff.TokenIndex(mask)
//            x = Add(Gather(table, qeff.RemovePadding(input_ids, index)),
//                    qeff.RemovePadding(positions, index))            [1, B * S, D]
//            o = qeff.PackedAttention(Linear(x), Linear(x), Linear(x), index, starts, b)
//            y = qeff.RestorePadding(Add(x, Linear(o)), starts, mask)
// Rows of padding become zeros, whatever they were: nothing may depend on them but through a
// product with zero. So masks are applied outside, to restored rows; but for x times the mask,
// which makes such zeros itself. Convolutions and delta rules mix a row with those before it: what
// they read is computed without padding only as far as it is zero for padding anyway. If the first
// token is read by its place, it is kept also where it is padding, as a query.
// Attention is causal if its positions show padding to no token (padding_match.h). That with sinks,
// slopes or chunks gets its operands with padding again, and its result loses it. What is between,
// the products with weights, is most of the work.
// Leaves alone: graphs whose attentions do not all have the same mask and no cache, and those with
// a fixed number of tokens.
// Requires: types.
#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>

#include "passes/emitter.h"
#include "passes/match.h"
#include "passes/padding_match.h"
#include "passes/pass.h"
#include "passes/tidy.h"

namespace qeff::passes {
namespace {

enum AttentionInput : size_t { kPositions = 3, kPastKey = 4, kSinks = 8, kKeyMask = 9, kBias = 10 };

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

class PaddingRemoval {
 public:
  PaddingRemoval(ir::Graph& graph, ir::Value* mask) : graph_(graph), mask_(mask) {}

  /// The mask that all attentions of the graph share; null if there is no such mask.
  static ir::Value* FindMask(const ir::Graph& graph) {
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

  Change Run() {
    FindInside();
    std::vector<ir::Node*> inside;
    for (const auto& node : graph_.nodes()) {
      if (inside_.contains(node.get())) inside.push_back(node.get());
    }
    if (inside.empty()) return Change::kNone;
    MakeTokenIndex(Emitter(graph_, inside.front(), "/padding"));
    std::vector<ir::Value*> results;
    for (ir::Node* node : inside) {
      TakeInside(node);
      results.push_back(node->IsQeff("Attention") ? ReplaceAttention(node) : node->output());
    }
    for (ir::Value* result : results) RestoreFor(result);
    return Change::kChanged;
  }

 private:
  /// What says which keys of an attention are padding; null if nothing does.
  static ir::Value* MaskOf(const ir::Node& attention) {
    ir::Value* mask = attention.input(kKeyMask);
    const ir::Value* positions = attention.input(kPositions);
    if (attention.input(kPastKey) != nullptr || (mask != nullptr && positions != nullptr))
      return nullptr;
    return mask != nullptr ? mask : MaskOfOrder(positions);
  }
  static bool CanBePacked(const ir::Node& node) {
    return node.IsQeff("Attention") && node.input(kSinks) == nullptr &&
           node.FindAttribute("alibi_slopes") == nullptr &&
           node.IntAttribute("chunk_tokens", 0) == 0;
  }
  static bool IsCausal(const ir::Node& attention) { return attention.input(kKeyMask) == nullptr; }

  /// True if `node`, outside, takes the first tokens of texts by their place.
  static bool ReadsFirstToken(const ir::Node& node) {
    const auto is_tokens = [&](std::optional<int64_t> axis) {
      return axis == 1 || (axis && *axis < 0 && *axis + Rank(node.input(0)) == 1);
    };
    const auto may_be_first = [&](const ir::Value* place) {
      return !place->is_constant() || ir::ConstantInt(place) == 0;
    };
    if (node.IsOnnx("Slice"))
      return is_tokens(ir::ConstantInt(node.input(3))) && may_be_first(node.input(1));
    return node.IsOnnx("Gather") && is_tokens(node.IntAttribute("axis", 0)) &&
           ir::ConstantInt(node.input(1)) == 0;
  }

  void MakeTokenIndex(const Emitter& emit) {
    for (const auto& node : graph_.nodes()) {
      if (inside_.contains(node.get()) || !ReadsFirstToken(*node)) continue;
      if (IsFromInside(node->input(0))) keeps_first_ = 1;
    }
    std::vector<std::string> names = {"token_index", "row_starts"};
    if (keeps_first_ != 0) names.emplace_back("key_starts");
    const ir::Node* index =
        emit.Multi(ir::kQeffDomain, "TokenIndex", {mask_}, KeepsFirst(), std::move(names));
    token_index_ = index->output(0);
    row_starts_ = index->output(1);
    if (keeps_first_ != 0) key_starts_ = index->output(2);
  }
  ir::AttributeMap KeepsFirst() const {
    return keeps_first_ != 0 ? ir::AttributeMap{{"keeps_first", keeps_first_}} : ir::AttributeMap();
  }

  /// True if the value has a row for each token of the batch.
  bool HasTokens(const ir::Value* value) const {
    const auto& shape = value->type().shape;
    const ir::Shape& batch = *mask_->type().shape;
    return shape && shape->size() >= 2 && ir::SameSize((*shape)[0], batch[0]) &&
           ir::SameSize((*shape)[1], batch[1]);
  }
  /// True if it has a row for each token, the same for each row of the batch: [1, S, ..], or
  /// [S, ..] where that broadcasts to `rank` dimensions.
  bool RepeatsTokens(const ir::Value* value, int rank) const {
    const auto& shape = value->type().shape;
    const ir::Dim& tokens = (*mask_->type().shape)[1];
    if (!shape) return false;
    const int missing = rank - static_cast<int>(shape->size());
    if (missing == 1) return rank == 3 && ir::SameSize((*shape)[0], tokens);
    return missing == 0 && (*shape)[0] == ir::Dim(1) && ir::SameSize((*shape)[1], tokens);
  }
  static bool Broadcasts(const ir::Node& node) {
    return node.domain().empty() && !node.IsOnnx("LayerNormalization") && !node.IsOnnx("Gather");
  }
  /// True if every row sees the same elements of it.
  static bool IsSameForAll(const ir::Node& node, const ir::Value* value, int rank) {
    if (!Broadcasts(node)) return value->is_constant();
    if (!value->type().shape) return false;
    const ir::Shape& shape = *value->type().shape;
    for (int axis = rank - static_cast<int>(shape.size()); axis < 2; ++axis) {
      const size_t i = static_cast<size_t>(axis + static_cast<int>(shape.size()) - rank);
      if (axis < 0 || shape[i] != ir::Dim(1)) return false;
    }
    return true;
  }

  bool MayBeInside(const ir::Node& node) const {
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
  bool IsFromInside(const ir::Value* value) const {
    return value->producer() != nullptr && inside_.contains(value->producer());
  }
  /// After the attentions: all operands with tokens are inside.
  bool FollowsInside(const ir::Node& node) const {
    bool follows = false;
    for (const ir::Value* input : node.inputs()) {
      if (input == nullptr || MakesZeros(node, input)) continue;
      if (IsFromInside(input)) {
        follows = true;
      } else if (HasTokens(input) || RepeatsTokens(input, Rank(node.output()))) {
        return false;
      }
    }
    return follows;
  }
  /// Before the attentions: all readers are inside.
  bool LeadsInside(const ir::Node& node) const {
    const ir::Value* output = node.output();
    return !graph_.IsOutput(output) && !output->uses().empty() &&
           std::all_of(output->uses().begin(), output->uses().end(),
                       [&](const ir::Use& use) { return inside_.contains(use.node); });
  }

  /// True if the value is the mask in floats [B, S, 1].
  bool IsTokenWeight(const ir::Value* value) const {
    if (Rank(value) != 3 || !HasTokens(value) ||
        !IsFloat(value->type().dtype.value_or(DType::kI64)))
      return false;
    for (const ir::Node* node = value->producer(); node != nullptr; node = value->producer()) {
      if (!node->IsOnnx("Cast") && !node->IsOnnx("Unsqueeze")) return false;
      value = node->input(0);
    }
    return value == mask_;
  }

  /// True if `node` multiplies states with the mask at `input`.
  bool MakesZeros(const ir::Node& node, const ir::Value* input) const {
    if (!node.IsOnnx("Mul") || node.inputs().size() != 2 || !IsTokenWeight(input)) return false;
    const ir::Value* states = node.input(node.input(0) == input ? 1 : 0);
    return HasTokens(states) && !masks_.contains(states);
  }

  /// What is computed from the mask, other than by attention and by products that make zeros.
  void FindMasks() {
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
  void FindInside() {
    FindMasks();
    std::vector<ir::Node*> candidates;
    for (const auto& node : graph_.nodes()) {
      const bool is_packed = CanBePacked(*node);
      if (is_packed || MayBeInside(*node)) inside_.insert(node.get());
      if (!is_packed && inside_.contains(node.get())) candidates.push_back(node.get());
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

  /// True if rows of padding are zero with padding, too.
  bool IsZeroAtPadding(const ir::Value* value) const {
    const ir::Node* node = value->producer();
    if (node == nullptr || !inside_.contains(node)) return false;
    const auto is_zero = [&](const ir::Value* input) {
      return input != nullptr && (MakesZeros(*node, input) || IsZeroAtPadding(input));
    };
    if (node->IsOnnx("Mul"))
      return std::any_of(node->inputs().begin(), node->inputs().end(), is_zero);
    const bool keeps_zero = (node->IsQeff("Linear") && node->inputs().size() == 2) ||
                            node->IsQeff("RmsNorm") || node->IsOnnx("Cast");
    return keeps_zero && is_zero(node->input(0));
  }

  /// Puts outside what `node`, which is, reads of rows of padding that are not zero.
  void LeaveToMixing(const ir::Node& node, std::set<const ir::Value*>& seen) {
    for (const ir::Value* input : node.inputs()) {
      if (input == nullptr || input->producer() == nullptr || IsZeroAtPadding(input)) continue;
      if (!seen.insert(input).second) continue;
      inside_.erase(input->producer());
      LeaveToMixing(*input->producer(), seen);
    }
  }

  /// Operands with tokens that come from outside lose their padding.
  void TakeInside(ir::Node* node) {
    const bool is_attention = node->IsQeff("Attention");
    const int rank = Rank(node->output());
    for (size_t i = 0; i < node->inputs().size(); ++i) {
      ir::Value* input = node->input(i);
      if (input == nullptr || IsFromInside(input) || replaced_.contains(input)) continue;
      if (is_attention ? i >= kPositions : !HasTokens(input) && !RepeatsTokens(input, rank))
        continue;
      ir::Value*& removed = removed_[input];
      if (removed == nullptr) {
        const Emitter emit(graph_, node, "/padding");
        ir::Value* batch =
            HasTokens(input) || Rank(input) == rank ? input : emit.Unsqueeze(input, {0});
        removed = emit.Op("RemovePadding", {batch, token_index_}, {}, ir::kQeffDomain);
        replaced_.insert(removed);
      }
      node->SetInput(i, removed);
    }
  }

  ir::Value* ReplaceAttention(ir::Node* node) {
    ir::AttributeMap attributes = node->attributes();
    if (IsCausal(*node)) attributes["is_causal"] = int64_t{1};
    std::vector<ir::Value*> inputs = {node->input(0), node->input(1), node->input(2), token_index_,
                                      row_starts_};
    if (node->input(kBias) != nullptr || key_starts_ != nullptr)
      inputs.push_back(node->input(kBias));
    if (key_starts_ != nullptr) inputs.push_back(key_starts_);
    ir::Value* packed =
        Emitter(graph_, node)
            .Op("PackedAttention", std::move(inputs), std::move(attributes), ir::kQeffDomain);
    replaced_.insert(packed);
    inside_.erase(node);
    ReplaceNode(graph_, node, packed);
    inside_.insert(packed->producer());
    return packed;
  }

  /// Readers outside get the rows with padding again.
  void RestoreFor(ir::Value* value) {
    const bool is_read_outside =
        graph_.IsOutput(value) ||
        std::any_of(value->uses().begin(), value->uses().end(),
                    [&](const ir::Use& use) { return !inside_.contains(use.node); });
    if (!is_read_outside) return;
    std::vector<ir::Use> uses = value->uses();
    ir::Value* restored = graph_.Add({.domain = ir::kQeffDomain,
                                      .op_type = "RestorePadding",
                                      .inputs = {value, row_starts_, mask_},
                                      .attributes = KeepsFirst(),
                                      .name = "/padding/RestorePadding"});
    for (const ir::Use& use : uses) {
      if (!inside_.contains(use.node)) use.node->SetInput(use.input_index, restored);
    }
    for (ir::GraphOutput& output : graph_.outputs()) {
      if (output.value == value) output.value = restored;
    }
  }

  ir::Graph& graph_;
  ir::Value* mask_;
  ir::Value* token_index_ = nullptr;
  ir::Value* row_starts_ = nullptr;
  ir::Value* key_starts_ = nullptr;  ///< null: those of rows
  int64_t keeps_first_ = 0;
  std::set<const ir::Node*> inside_;
  std::set<const ir::Value*> masks_;
  std::set<const ir::Value*> replaced_;  ///< values without padding that this pass has made
  std::map<ir::Value*, ir::Value*> removed_;
};

}  // namespace

Result<Change> RemovePadding(ir::Model& model, const PassContext&) {
  ir::Value* mask = PaddingRemoval::FindMask(model.graph);
  if (mask == nullptr) return Change::kNone;
  const Change change = PaddingRemoval(model.graph, mask).Run();
  if (change == Change::kChanged) QEFF_RETURN_IF_ERROR(DropDeadAndSort(model));
  return change;
}

}  // namespace qeff::passes
