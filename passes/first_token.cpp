// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "passes/first_token.h"

#include <algorithm>
#include <optional>
#include <set>
#include <vector>

#include "passes/match.h"

namespace qeff::passes {
namespace {

using Ints = std::optional<std::vector<int64_t>>;  ///< nothing: not constant

/// How the places along an axis of a value follow from those of the tokens of a text.
enum class AxisKind { kNoTokens, kTokens, kOther };

AxisKind KindOfAxis(const ir::Value* value, int64_t axis, const PaddingRegion& region) {
  const int rank = Rank(value);
  if (rank < 0) return AxisKind::kOther;
  if (axis < 0) axis += rank;
  if (axis < 0 || axis >= rank) return AxisKind::kNoTokens;
  const ir::Dim& size = (*value->type().shape)[static_cast<size_t>(axis)];
  if (ir::SameSize(size, region.tokens())) return AxisKind::kTokens;
  return size.is_number() || ir::SameSize(size, region.batch()) ? AxisKind::kNoTokens
                                                                : AxisKind::kOther;
}

bool MayBeFirst(int64_t place) { return place == 0 || place < -1; }

bool GatherMayTakeFirst(const ir::Node& node, const PaddingRegion& region) {
  const AxisKind kind = KindOfAxis(node.input(0), node.IntAttribute("axis", 0), region);
  const Ints places = ir::ConstantInts(node.input(1));
  if (kind == AxisKind::kNoTokens || !places) return false;
  return kind == AxisKind::kOther || std::ranges::any_of(*places, MayBeFirst);
}

bool SliceMayTakeFirst(const ir::Node& node, const PaddingRegion& region) {
  const Ints starts = ir::ConstantInts(node.input(1));
  const Ints steps =
      node.input(4) != nullptr ? ir::ConstantInts(node.input(4)) : std::vector<int64_t>();
  const Ints axes = node.input(3) != nullptr ? ir::ConstantInts(node.input(3)) : std::nullopt;
  const bool are_axes_unknown = node.input(3) != nullptr && !axes;
  const bool is_unknown = !starts || !steps || are_axes_unknown;
  // Without axes, the first ones.
  size_t count = static_cast<size_t>(std::max(Rank(node.input(0)), 0));
  if (axes) count = axes->size();
  if (!axes && !are_axes_unknown && starts) count = starts->size();
  for (size_t i = 0; i < count; ++i) {
    const int64_t axis = axes ? axes->at(i) : static_cast<int64_t>(i);
    const AxisKind kind = KindOfAxis(node.input(0), axis, region);
    if (kind == AxisKind::kNoTokens) continue;
    if (is_unknown || kind == AxisKind::kOther) return true;
    const bool is_backwards = !steps->empty() && steps->at(i) < 0;
    if (is_backwards || MayBeFirst(starts->at(i))) return true;
  }
  return false;
}

bool MayTakeFirst(const ir::Node& node, const PaddingRegion& region) {
  if (node.IsOnnx("Gather")) return GatherMayTakeFirst(node, region);
  if (node.IsOnnx("Slice")) return SliceMayTakeFirst(node, region);
  return node.IsOnnx("Split") &&
         KindOfAxis(node.input(0), node.IntAttribute("axis", 0), region) != AxisKind::kNoTokens;
}

/// True if a place in what `node` makes of rows may say which token's it is: it has their axis, or
/// the same data in another shape.
bool KeepsPlaces(const ir::Node& node, const PaddingRegion& region) {
  if (node.IsOnnx("Reshape") || node.IsOnnx("Flatten")) return true;
  return std::ranges::any_of(node.outputs(), [&](const ir::Value* output) {
    if (Rank(output) < 0) return true;
    for (int axis = 0; axis < Rank(output); ++axis) {
      if (KindOfAxis(output, axis, region) == AxisKind::kTokens) return true;
    }
    return false;
  });
}

}  // namespace

bool ReadsFirstToken(const ir::Graph& graph, const PaddingRegion& region) {
  std::set<const ir::Value*> made_of_rows;  // outside, of what nodes inside compute
  // In topological order, as the nodes of a graph are: what a node reads was seen before.
  for (const auto& node : graph.nodes()) {
    if (region.Contains(node.get())) continue;
    const auto has_rows = [&](const ir::Value* value) {
      return value != nullptr && (region.Computes(value) || made_of_rows.contains(value));
    };
    if (!std::ranges::any_of(node->inputs(), has_rows)) continue;
    if (has_rows(node->input(0)) && MayTakeFirst(*node, region)) return true;
    if (!KeepsPlaces(*node, region)) continue;
    made_of_rows.insert(node->outputs().begin(), node->outputs().end());
  }
  return false;
}

}  // namespace qeff::passes
