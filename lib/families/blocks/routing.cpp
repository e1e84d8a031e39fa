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

Result<RouterFacts> ReadRouter(const checkpoint::ConfigReader& config, const RouterKeys& keys) {
  RouterFacts facts;
  std::string key = keys.num_experts.front();
  for (const std::string& spelling : keys.num_experts) {
    QEFF_ASSIGN_OR_RETURN(const auto count, config.OptionalInt(spelling, checkpoint::kPositive));
    if (!count) continue;
    if (facts.num_experts != 0 && facts.num_experts != *count) {
      return config.ErrorAt(
          ErrorCode::kInvalidInput, spelling,
          fmt::format("expected {} as {} says, got {}", facts.num_experts, key, *count));
    }
    facts.num_experts = *count;
    key = spelling;
  }
  if (facts.num_experts == 0) facts.num_experts = keys.default_num_experts;
  if (facts.num_experts == 0) {
    QEFF_ASSIGN_OR_RETURN(facts.num_experts, config.Int(key, checkpoint::kPositive));
  }
  QEFF_ASSIGN_OR_RETURN(facts.experts_per_token,
                        keys.default_experts_per_token == 0
                            ? config.Int(keys.experts_per_token, checkpoint::kPositive)
                            : config.IntOr(keys.experts_per_token, keys.default_experts_per_token,
                                           checkpoint::kPositive));
  if (facts.experts_per_token > facts.num_experts) {
    return config.ErrorAt(ErrorCode::kInvalidInput, keys.experts_per_token,
                          fmt::format("expected at most {} ({}), got {}", key, facts.num_experts,
                                      facts.experts_per_token));
  }
  return facts;
}

Status ReadExpertGroups(const checkpoint::ConfigReader& config, RouterFacts& facts) {
  QEFF_ASSIGN_OR_RETURN(facts.num_groups,
                        config.IntOr("n_group", facts.num_groups, checkpoint::kPositive));
  QEFF_ASSIGN_OR_RETURN(facts.groups_per_token,
                        config.IntOr("topk_group", facts.groups_per_token, checkpoint::kPositive));
  if (facts.num_experts % facts.num_groups != 0) {
    return config.ErrorAt(ErrorCode::kInvalidInput, "n_group",
                          fmt::format("expected a divisor of the {} experts, got {}",
                                      facts.num_experts, facts.num_groups));
  }
  if (facts.groups_per_token > facts.num_groups) {
    return config.ErrorAt(ErrorCode::kInvalidInput, "topk_group",
                          fmt::format("expected at most n_group ({}), got {}", facts.num_groups,
                                      facts.groups_per_token));
  }
  if (facts.groups_per_token == facts.num_groups) return Status::Ok();  // nothing is left out
  const int64_t size = facts.num_experts / facts.num_groups;
  if (facts.group_rank == GroupRank::kSumOfTwoBest && size < 2) {
    return config.ErrorAt(ErrorCode::kInvalidInput, "n_group",
                          "expected groups of two experts or more: they are ranked by their two "
                          "best");
  }
  if (size * facts.groups_per_token < facts.experts_per_token) {
    return config.ErrorAt(ErrorCode::kInvalidInput, "topk_group",
                          fmt::format("expected groups that hold the {} experts of a token, got {} "
                                      "groups of {}",
                                      facts.experts_per_token, facts.groups_per_token, size));
  }
  return Status::Ok();
}

Status SetSparseLayers(const checkpoint::ConfigReader& config, const LayerBlock& block,
                       DecoderFacts& facts) {
  QEFF_ASSIGN_OR_RETURN(const int64_t step,
                        config.IntOr("decoder_sparse_step", 1, checkpoint::kPositive));
  const auto count = static_cast<int64_t>(facts.layers.size());
  QEFF_ASSIGN_OR_RETURN(const std::vector<int64_t> dense,
                        config.Ints("mlp_only_layers", {.minimum = 0, .maximum = count - 1}));
  for (int64_t i = 0; i < count; ++i) {
    const bool is_dense = std::find(dense.begin(), dense.end(), i) != dense.end();
    if (!is_dense && (i + 1) % step == 0) {
      facts.layers[static_cast<size_t>(i)].feed_forward = block;
    }
  }
  return Status::Ok();
}

}  // namespace qeff::families
