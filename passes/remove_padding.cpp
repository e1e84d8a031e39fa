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
// padding_region.h finds what can be between. Attention is causal if its positions show padding to
// no token (padding_match.h). That with sinks, slopes or chunks gets its operands with padding
// again, and its result loses it. What is between, the products with weights, is most of the work.
// Leaves alone: graphs whose attentions do not all have the same mask and no cache, and those with
// a fixed number of tokens.
// Requires: types.
#include <algorithm>
#include <map>
#include <set>

#include "lib/ops/attention_inputs.h"
#include "passes/emitter.h"
#include "passes/first_token.h"
#include "passes/match.h"
#include "passes/padding_region.h"
#include "passes/pass.h"
#include "passes/tidy.h"

namespace qeff::passes {
namespace {

using enum ops::AttentionInput::Index;

class PaddingRemoval {
 public:
  PaddingRemoval(ir::Graph& graph, ir::Value* mask)
      : graph_(graph), mask_(mask), region_(graph, mask) {}

  Change Run() {
    const std::vector<ir::Node*> inside = region_.Nodes();
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
  void MakeTokenIndex(const Emitter& emit) {
    keeps_first_ = ReadsFirstToken(graph_, region_) ? 1 : 0;
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

  /// Operands with tokens that come from outside lose their padding.
  void TakeInside(ir::Node* node) {
    const bool is_attention = node->IsQeff("Attention");
    const int rank = Rank(node->output());
    for (size_t i = 0; i < node->inputs().size(); ++i) {
      ir::Value* input = node->input(i);
      if (input == nullptr || region_.Computes(input) || replaced_.contains(input)) continue;
      if (is_attention ? i >= kPositions
                       : !region_.HasTokens(input) && !region_.RepeatsTokens(input, rank))
        continue;
      ir::Value*& removed = removed_[input];
      if (removed == nullptr) {
        const Emitter emit(graph_, node, "/padding");
        ir::Value* batch =
            region_.HasTokens(input) || Rank(input) == rank ? input : emit.Unsqueeze(input, {0});
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
    region_.Replace(node, packed->producer());
    ReplaceNode(graph_, node, packed);
    return packed;
  }

  /// Readers outside get the rows with padding again.
  void RestoreFor(ir::Value* value) {
    const bool is_read_outside =
        graph_.IsOutput(value) ||
        std::any_of(value->uses().begin(), value->uses().end(),
                    [&](const ir::Use& use) { return !region_.Contains(use.node); });
    if (!is_read_outside) return;
    std::vector<ir::Use> uses = value->uses();
    ir::Value* restored = graph_.Add({.domain = ir::kQeffDomain,
                                      .op_type = "RestorePadding",
                                      .inputs = {value, row_starts_, mask_},
                                      .attributes = KeepsFirst(),
                                      .name = "/padding/RestorePadding"});
    for (const ir::Use& use : uses) {
      if (!region_.Contains(use.node)) use.node->SetInput(use.input_index, restored);
    }
    for (ir::GraphOutput& output : graph_.outputs()) {
      if (output.value == value) output.value = restored;
    }
  }

  ir::Graph& graph_;
  ir::Value* mask_;
  PaddingRegion region_;
  ir::Value* token_index_ = nullptr;
  ir::Value* row_starts_ = nullptr;
  ir::Value* key_starts_ = nullptr;  ///< null: those of rows
  int64_t keeps_first_ = 0;
  std::set<const ir::Value*> replaced_;  ///< values without padding that this pass has made
  std::map<ir::Value*, ir::Value*> removed_;
};

}  // namespace

Result<Change> RemovePadding(ir::Model& model, const PassContext&) {
  ir::Value* mask = FindSharedMask(model.graph);
  if (mask == nullptr) return Change::kNone;
  const Change change = PaddingRemoval(model.graph, mask).Run();
  if (change == Change::kChanged) QEFF_RETURN_IF_ERROR(DropDeadAndSort(model));
  return change;
}

}  // namespace qeff::passes
