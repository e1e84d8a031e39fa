// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Which nodes of a graph may work on the tokens of a batch without its padding. remove-padding asks
// before it rewrites them; nothing here changes the graph. Sizes tell which values have tokens, so
// types must be inferred and the number of tokens be a symbol.
#pragma once

#include <set>
#include <vector>

#include "lib/ir/graph.h"

namespace qeff::passes {

/// The mask that all attentions of the graph share, i64 [B, S], 0 for padding; null if there is no
/// such mask.
ir::Value* FindSharedMask(const ir::Graph& graph);

/// True if the order of its tokens, not a mask, keeps `attention` from padding.
bool IsCausal(const ir::Node& attention);

/// Inside are the attentions with `mask` and what computes row by row before, between and after
/// them. All other nodes are outside and see a batch with its padding.
class PaddingRegion {
 public:
  /// `mask` is FindSharedMask(graph). Both must outlive the region.
  PaddingRegion(const ir::Graph& graph, const ir::Value* mask);

  /// The nodes inside, in the order of the graph.
  std::vector<ir::Node*> Nodes() const;
  bool Contains(const ir::Node* node) const { return inside_.contains(node); }
  /// True if a node inside computes `value`.
  bool Computes(const ir::Value* value) const { return Contains(value->producer()); }
  /// `node`, inside, gives way to `replacement`.
  void Replace(const ir::Node* node, const ir::Node* replacement);

  /// B and S of the batch.
  const ir::Dim& batch() const { return (*mask_->type().shape)[0]; }
  const ir::Dim& tokens() const { return (*mask_->type().shape)[1]; }
  /// True if the value has a row for each token of the batch: [B, S, ..].
  bool HasTokens(const ir::Value* value) const;
  /// True if it has a row for each token, the same for each row of the batch: [1, S, ..], or
  /// [S, ..] where that broadcasts to `rank` dimensions.
  bool RepeatsTokens(const ir::Value* value, int rank) const;

 private:
  bool IsTokenWeight(const ir::Value* value) const;
  bool MakesZeros(const ir::Node& node, const ir::Value* input) const;
  bool MayBeInside(const ir::Node& node) const;
  bool FollowsInside(const ir::Node& node) const;
  bool LeadsInside(const ir::Node& node) const;
  bool IsZeroAtPadding(const ir::Value* value) const;
  void FindMasks();
  void FindInside();
  void LeaveToMixing(const ir::Node& node, std::set<const ir::Value*>& seen);

  const ir::Graph& graph_;
  const ir::Value* mask_;
  std::set<const ir::Value*> masks_;  ///< made of the mask, but for products that make zeros
  std::set<const ir::Node*> inside_;
};

}  // namespace qeff::passes
