// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Recognizes rotary position embedding on [B, H, T, E] as lower-rope and the usual exporters write
// it.
//   Before:  c = Unsqueeze(cos [B, T, R], 1)  s = Unsqueeze(sin, 1)  xh = Transpose<0, 2, 1, 3>(xt
//   [B, T, H, E])
//            yh = Add(Mul(xh, c), Mul(Concat(Neg(Slice(xh, R/2, R)), Slice(xh, 0, R/2)), s))
//   After:   y = qeff.Rope<num_heads = H>(Reshape(xt, [0, 0, H * E]), cos, sin)
//            yh = Transpose<0, 2, 1, 3>(Reshape(y, [0, 0, H, E]))
// With R < E the rotated channels are Slice(xh, 0, R) and the end is Concat(rotated, Slice(xh, R,
// E)). Interleaved pairs:
//   yh = Reshape(Concat(Unsqueeze(even * c - odd * s, 4), Unsqueeze(odd * c + even * s, 4)), [0, 0,
//   0, R]) with c, s = Unsqueeze(Slice(cos or sin, 0, R/2), 1): becomes interleaved = 1.
// fold-reshapes removes what the layout changes cancel. Requires: fixed H, E, R.
#include "passes/emitter.h"
#include "passes/match.h"
#include "passes/pass.h"

namespace qeff::passes {
namespace {

struct Match {
  ir::Value* x = nullptr;       ///< what turns: [B, H, T, R]
  ir::Value* cosine = nullptr;  ///< [B, T, R]
  ir::Value* sine = nullptr;
  bool interleaved = false;
};

/// Unsqueeze(v, 1) -> v.
ir::Value* BeforeUnsqueeze1(const ir::Value* value) {
  const ir::Node* node = ProducedBy(value, "Unsqueeze");
  return node != nullptr && ir::ConstantInt(node->input(1)) == 1 && Rank(node->input(0)) == 3
             ? node->input(0)
             : nullptr;
}

/// If `value` is [-x2, x1] over the last axis of some x, returns x.
ir::Value* MatchRotateHalf(const ir::Value* value) {
  const ir::Node* concat = ProducedBy(value, "Concat");
  if (concat == nullptr || concat->inputs().size() != 2) return nullptr;
  const int64_t axis = concat->IntAttribute("axis", 0);
  if (axis != -1 && axis != Rank(value) - 1) return nullptr;
  const ir::Node* negated = ProducedBy(concat->input(0), "Neg");
  const ir::Node* second = negated ? negated->input(0)->producer() : nullptr;
  const ir::Node* first = concat->input(1)->producer();
  const auto upper = FindSliceBounds(second);
  const auto lower = FindSliceBounds(first);
  const auto size = upper ? FixedDim(second->input(0), -1) : std::nullopt;
  if (!upper || !lower || !size || second->input(0) != first->input(0)) return nullptr;
  const int64_t half = *size / 2;
  const bool halves = lower->begin == 0 && lower->end == half && upper->begin == half &&
                      upper->end == *size && lower->step == 1 && upper->step == 1;
  return halves ? first->input(0) : nullptr;
}

/// For a sum a * c + b * s (or a difference): tries both orders of each product.
template <typename Visit>
void ForEachProductPair(const ir::Node& sum, const Visit& visit) {
  const ir::Node* left = ProducedBy(sum.input(0), "Mul");
  const ir::Node* right = ProducedBy(sum.input(1), "Mul");
  if (left == nullptr || right == nullptr) return;
  for (const size_t i : {size_t{0}, size_t{1}}) {
    for (const size_t j : {size_t{0}, size_t{1}}) {
      visit(left->input(i), left->input(1 - i), right->input(j), right->input(1 - j));
    }
  }
}

std::optional<Match> MatchHalfSplit(const ir::Node& sum) {
  if (!sum.IsOnnx("Add")) return std::nullopt;
  std::optional<Match> match;
  const auto visit = [&](ir::Value* x, ir::Value* cosine, ir::Value* rotated, ir::Value* sine) {
    if (match || MatchRotateHalf(rotated) != x) return;
    ir::Value* c = BeforeUnsqueeze1(cosine);
    ir::Value* s = BeforeUnsqueeze1(sine);
    if (c != nullptr && s != nullptr && FixedDim(c, 2) && FixedDim(c, 2) == FixedDim(x, 3))
      match = Match{x, c, s, false};
  };
  ForEachProductPair(sum, visit);
  if (!match) {
    ForEachProductPair(
        sum, [&](ir::Value* a, ir::Value* b, ir::Value* c, ir::Value* d) { visit(c, d, a, b); });
  }
  return match;
}

/// Unsqueeze(Slice(v, 0, R/2), 1) -> v.
ir::Value* BeforeHalfColumns(const ir::Value* value) {
  ir::Value* half = BeforeUnsqueeze1(value);
  const ir::Node* slice = ProducedBy(half, "Slice");
  const auto bounds = FindSliceBounds(slice);
  const auto size = bounds ? FixedDim(slice->input(0), 2) : std::nullopt;
  return size && bounds->axis == 2 && bounds->begin == 0 && bounds->end == *size / 2
             ? slice->input(0)
             : nullptr;
}

/// Slice with step 2 from `begin` -> its source.
ir::Value* BeforeStride2(const ir::Value* value, int64_t begin) {
  const ir::Node* slice = ProducedBy(value, "Slice");
  const auto bounds = FindSliceBounds(slice);
  return bounds && bounds->step == 2 && bounds->begin == begin && bounds->axis == 3
             ? slice->input(0)
             : nullptr;
}

std::optional<Match> MatchInterleaved(const ir::Node& reshape) {
  const ir::Node* concat =
      reshape.IsOnnx("Reshape") ? ProducedBy(reshape.input(0), "Concat") : nullptr;
  if (concat == nullptr || concat->inputs().size() != 2 || Rank(concat->output()) != 5)
    return std::nullopt;
  const ir::Node* first = ProducedBy(concat->input(0), "Unsqueeze");
  const ir::Node* second = ProducedBy(concat->input(1), "Unsqueeze");
  const ir::Node* difference = first ? ProducedBy(first->input(0), "Sub") : nullptr;
  const ir::Node* sum = second ? ProducedBy(second->input(0), "Add") : nullptr;
  if (difference == nullptr || sum == nullptr) return std::nullopt;
  std::optional<Match> match;
  ForEachProductPair(
      *difference, [&](ir::Value* even, ir::Value* cosine, ir::Value* odd, ir::Value* sine) {
        ir::Value* x = BeforeStride2(even, 0);
        if (match || x == nullptr || BeforeStride2(odd, 1) != x) return;
        bool sum_fits = false;
        ForEachProductPair(*sum, [&](ir::Value* a, ir::Value* b, ir::Value* c, ir::Value* d) {
          sum_fits |= a == odd && b == cosine && c == even && d == sine;
        });
        ir::Value* c = BeforeHalfColumns(cosine);
        ir::Value* s = BeforeHalfColumns(sine);
        const auto bounds = FindSliceBounds(even->producer());
        if (sum_fits && c != nullptr && s != nullptr && FixedDim(c, 2) == bounds->end)
          match = Match{x, c, s, true};
      });
  return match;
}

/// What the rotation starts from and ends at, with the channels that pass through taken in.
struct Span {
  ir::Value* x;    ///< [B, H, T, E]
  ir::Node* last;  ///< its output is [B, H, T, E]
};

Span IncludePassThrough(const ir::Graph& graph, const Match& match, ir::Node* node) {
  const Span alone{match.x, node};
  const int64_t rotary = *FixedDim(match.cosine, 2);
  ir::Value* whole = match.x;
  const ir::Node* slice = ProducedBy(match.x, "Slice");
  const auto bounds = FindSliceBounds(slice);
  if (bounds && bounds->axis == 3 && bounds->begin == 0 && bounds->end == rotary &&
      bounds->step == 1) {
    whole = slice->input(0);
  } else if (!match.interleaved) {  // pairs may also be taken from all channels at once
    return alone;
  }
  if (FixedDim(whole, 3) == rotary || !HasOneUse(graph, node->output())) return alone;
  ir::Node* concat = node->output()->uses().front().node;
  if (!concat->IsOnnx("Concat") || concat->inputs().size() != 2 ||
      concat->input(0) != node->output())
    return alone;
  const auto rest = FindSliceBounds(ProducedBy(concat->input(1), "Slice"));
  if (!rest || concat->input(1)->producer()->input(0) != whole || rest->begin != rotary ||
      rest->end != FixedDim(whole, 3)) {
    return alone;
  }
  return {whole, concat};
}

}  // namespace

Result<Change> RaiseRope(ir::Model& model, const PassContext&) {
  ir::Graph& graph = model.graph;
  std::vector<ir::Node*> nodes;
  for (const auto& node : graph.nodes()) nodes.push_back(node.get());
  Change change = Change::kNone;
  for (ir::Node* node : nodes) {
    auto match = MatchHalfSplit(*node);
    if (!match) match = MatchInterleaved(*node);
    if (!match) continue;
    const Span span = IncludePassThrough(graph, *match, node);
    ir::Value* tokens_first = BeforeHeadTranspose(span.x);
    const auto heads = FixedDim(span.x, 1);
    const auto size = FixedDim(span.x, 3);
    if (tokens_first == nullptr || !heads || !size) continue;
    const Emitter emit(graph, span.last);
    ir::AttributeMap attributes = {{"num_heads", *heads}};
    if (match->interleaved) attributes["interleaved"] = int64_t{1};
    ir::Value* y = emit.Reshape(tokens_first, {0, 0, *heads * *size});
    y->set_type(
        {tokens_first->type().dtype, ir::Shape{(*tokens_first->type().shape)[0],
                                               (*tokens_first->type().shape)[1], *heads * *size}});
    y = emit.Op("Rope", {y, match->cosine, match->sine}, attributes, ir::kQeffDomain);
    ir::Value* split = emit.Reshape(y, {0, 0, *heads, *size});
    split->set_type(tokens_first->type());
    ir::Value* result = emit.Transpose(split, {0, 2, 1, 3});
    result->set_type(span.last->output()->type());
    graph.ReplaceAllUses(span.last->output(), result);
    change = Change::kChanged;
  }
  if (change == Change::kChanged) graph.DropDead();
  return change;
}

}  // namespace qeff::passes
