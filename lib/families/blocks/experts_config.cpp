// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The config keys of routers and experts that mean the same in several families.
#include <algorithm>

#include "lib/families/blocks/experts.h"

namespace qeff::families {

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

Result<ExpertsFacts> ReadCorrectedSigmoidExperts(const checkpoint::ConfigReader& config,
                                                 const CorrectedSigmoidDefaults& defaults,
                                                 MlpFacts dense) {
  ExpertsFacts experts;
  RouterFacts& router = experts.router;
  QEFF_ASSIGN_OR_RETURN(
      router, ReadRouter(config, {.num_experts = {"n_routed_experts"},
                                  .default_num_experts = defaults.num_experts,
                                  .default_experts_per_token = defaults.experts_per_token}));
  router.score = RouterScore::kSigmoid;
  router.choice_is_corrected = true;
  router.group_rank = GroupRank::kSumOfTwoBest;
  router.num_groups = defaults.num_groups;
  router.groups_per_token = defaults.groups_per_token;
  QEFF_RETURN_IF_ERROR(ReadExpertGroups(config, router));
  QEFF_ASSIGN_OR_RETURN(router.weights_are_normalized, config.BoolOr("norm_topk_prob", true));
  router.normalization_epsilon = 1e-20F;
  QEFF_ASSIGN_OR_RETURN(const double scale,
                        config.FloatOr("routed_scaling_factor", defaults.weight_scale));
  router.weight_scale = static_cast<float>(scale);
  QEFF_ASSIGN_OR_RETURN(experts.ffn_size, config.IntOr("moe_intermediate_size", defaults.ffn_size,
                                                       checkpoint::kPositive));
  experts.activation = dense.activation;
  QEFF_ASSIGN_OR_RETURN(const int64_t shared,
                        config.IntOr("n_shared_experts", 1, checkpoint::kPositive));
  dense.names.prefix = "shared_experts.";
  dense.ffn_size = experts.ffn_size * shared;
  experts.shared = SharedExpertFacts{.mlp = std::move(dense), .gate = ""};
  return experts;
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
