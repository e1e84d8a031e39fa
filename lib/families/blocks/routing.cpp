// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// How a router's logits become the experts of a token and their weights.
#include <algorithm>
#include <limits>
#include <numeric>

#include "lib/families/blocks/experts.h"

namespace qeff::families {
namespace {

class RoutingBuilder {
 public:
  RoutingBuilder(Builder& builder, std::string scope, const RouterFacts& facts)
      : builder_(builder), scope_(std::move(scope)), facts_(facts) {}

  Routing Build(ir::Value* logits, ir::Value* correction) {
    if (facts_.score == RouterScore::kSparseMixer) return MixSparsely(logits);
    ir::Value* scores = Scores(logits);
    ir::Value* ranks = correction == nullptr ? scores : Op("Add", {scores, correction});
    if (facts_.groups_per_token < facts_.num_groups) ranks = KeepBestGroups(ranks);
    const ir::Node* best = TopK(ranks, facts_.experts_per_token);
    ir::Value* ids = best->output(1);
    ir::Value* weights = best->output(0);
    if (correction != nullptr) {
      weights = Op("GatherElements", {scores, ids}, {{"axis", int64_t{2}}});
    }
    return {ids, FinishWeights(weights)};
  }

 private:
  ir::Value* Op(std::string_view op, std::vector<ir::Value*> inputs,
                ir::AttributeMap attributes = {}) {
    return builder_.Onnx(scope_, op, std::move(inputs), std::move(attributes));
  }

  ir::Value* Ints(const std::vector<int64_t>& values) {
    return builder_.Constant(fmt::format("ints_{}", fmt::join(values, "_")),
                             ir::MakeIntVector(values));
  }

  /// Values and indices of the k largest along the last axis.
  const ir::Node* TopK(ir::Value* x, int64_t k) {
    return builder_.graph().AddNode({.op_type = "TopK",
                                     .inputs = {x, Ints({k})},
                                     .attributes = {{"axis", int64_t{-1}}},
                                     .name = scope_ + "/TopK",
                                     .output_names = {"", ""}});
  }

  ir::Value* Softmax(ir::Value* x) { return Op("Softmax", {x}, {{"axis", int64_t{-1}}}); }

  ir::Value* Scores(ir::Value* logits) {
    if (facts_.score == RouterScore::kSoftmax) return Softmax(logits);
    return facts_.score == RouterScore::kSigmoid ? Op("Sigmoid", {logits}) : logits;
  }

  /// [B, T, X] with 0 for the experts of all but the best groups.
  ir::Value* KeepBestGroups(ir::Value* ranks) {
    const int64_t groups = facts_.num_groups;
    ir::Value* grouped = Op("Reshape", {ranks, Ints({0, 0, groups, facts_.num_experts / groups})});
    ir::Value* group_ranks =
        facts_.group_rank == GroupRank::kBest
            ? Op("ReduceMax", {grouped},
                 {{"axes", std::vector<int64_t>{3}}, {"keepdims", int64_t{0}}})
            : Op("ReduceSum", {TopK(grouped, 2)->output(0), Ints({3})}, {{"keepdims", int64_t{0}}});
    ir::Value* chosen = TopK(group_ranks, facts_.groups_per_token)->output(1);
    std::vector<int64_t> indices(static_cast<size_t>(groups));
    std::iota(indices.begin(), indices.end(), 0);
    ir::Value* group_index = builder_.Constant(fmt::format("group_index_{}", groups),
                                               ir::MakeInts({groups, 1}, indices));
    // is_kept[b, t, g] is 1 if g is one of chosen[b, t, ..], [B, T, G, 1].
    ir::Value* is_chosen = Op("Equal", {Op("Unsqueeze", {chosen, Ints({2})}), group_index});
    ir::Value* is_kept = Op("ReduceSum", {Op("Cast", {is_chosen}, {{"to", int64_t{1}}}), Ints({3})},
                            {{"keepdims", int64_t{1}}});
    return Op("Reshape", {Op("Mul", {grouped, is_kept}), Ints({0, 0, facts_.num_experts})});
  }

  ir::Value* FinishWeights(ir::Value* weights) {
    if (facts_.weight == ChosenWeight::kSoftmax) weights = Softmax(weights);
    if (facts_.weight == ChosenWeight::kSigmoid) weights = Op("Sigmoid", {weights});
    if (facts_.weights_are_normalized) {
      ir::Value* sum = Op("ReduceSum", {weights, Ints({2})}, {{"keepdims", int64_t{1}}});
      if (facts_.normalization_epsilon > 0) {
        sum = Op("Add", {sum, builder_.Float(facts_.normalization_epsilon)});
      }
      weights = Op("Div", {weights, sum});
    }
    return AddScale(builder_, scope_, weights, facts_.weight_scale);
  }

  ir::Value* Column(ir::Value* x, int64_t column) {
    return Op("Slice", {x, Ints({column}), Ints({column + 1}), Ints({2})});
  }

  Routing MixSparsely(ir::Value* logits) {
    const ir::Node* best = TopK(logits, facts_.experts_per_token);
    std::vector<int64_t> indices(static_cast<size_t>(facts_.num_experts));
    std::iota(indices.begin(), indices.end(), 0);
    ir::Value* expert_index = builder_.Constant(fmt::format("expert_index_{}", facts_.num_experts),
                                                ir::MakeIntVector(indices));
    ir::Value* nothing = builder_.Float(-std::numeric_limits<float>::infinity());
    ir::Value* size = Op("Abs", {logits});
    ir::Value* left = logits;  // without the experts chosen before
    std::vector<ir::Value*> weights;
    for (int64_t choice = 0; choice < facts_.experts_per_token; ++choice) {
      ir::Value* top = Column(best->output(0), choice);
      ir::Value* distance = Op("Div", {Op("Sub", {top, logits}), Op("Max", {size, top})});
      ir::Value* is_far = Op("Greater", {distance, builder_.Float(2 * facts_.jitter)});
      ir::Value* share = Softmax(Op("Where", {is_far, nothing, left}));
      // The share of `top` itself.
      weights.push_back(
          Op("ReduceMax", {share}, {{"axes", std::vector<int64_t>{2}}, {"keepdims", int64_t{1}}}));
      if (choice + 1 == facts_.experts_per_token) break;
      ir::Value* is_taken = Op("Equal", {Column(best->output(1), choice), expert_index});
      left = Op("Where", {is_taken, nothing, left});
    }
    return {best->output(1), Op("Concat", std::move(weights), {{"axis", int64_t{2}}})};
  }

  Builder& builder_;
  std::string scope_;
  const RouterFacts& facts_;
};

}  // namespace

Routing AddRouting(Builder& builder, const std::string& scope, const RouterFacts& facts,
                   ir::Value* logits, ir::Value* correction) {
  return RoutingBuilder(builder, scope, facts).Build(logits, correction);
}

}  // namespace qeff::families
