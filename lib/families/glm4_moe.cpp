// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// GLM-4.5, 4.6 and 4.7: part of each head rotated; after the first layers, which are dense, routed
// experts with a dense block beside them. The best sigmoids choose, corrected and by groups; the
// weights are the plain sigmoids, divided by their sum if asked for, times a factor.
#include "lib/families/blocks/decoder_config.h"
#include "lib/families/blocks/experts.h"

namespace qeff::families {
namespace {

Result<ExpertsFacts> ReadGlmExperts(const checkpoint::ConfigReader& config, MlpFacts dense) {
  ExpertsFacts experts;
  RouterFacts& router = experts.router;
  QEFF_ASSIGN_OR_RETURN(router, ReadRouter(config, {.num_experts = {"n_routed_experts"},
                                                    .default_num_experts = 128,
                                                    .default_experts_per_token = 8}));
  router.score = RouterScore::kSigmoid;
  router.choice_is_corrected = true;
  router.group_rank = GroupRank::kSumOfTwoBest;
  QEFF_RETURN_IF_ERROR(ReadExpertGroups(config, router));
  QEFF_ASSIGN_OR_RETURN(router.weights_are_normalized, config.BoolOr("norm_topk_prob", true));
  router.normalization_epsilon = 1e-20F;
  QEFF_ASSIGN_OR_RETURN(const double scale, config.FloatOr("routed_scaling_factor", 1));
  router.weight_scale = static_cast<float>(scale);
  QEFF_ASSIGN_OR_RETURN(experts.ffn_size,
                        config.IntOr("moe_intermediate_size", 1408, checkpoint::kPositive));
  experts.activation = dense.activation;
  QEFF_ASSIGN_OR_RETURN(const int64_t shared,
                        config.IntOr("n_shared_experts", 1, checkpoint::kPositive));
  dense.names.prefix = "shared_experts.";
  dense.ffn_size = experts.ffn_size * shared;
  experts.shared = SharedExpertFacts{.mlp = std::move(dense), .gate = ""};
  return experts;
}

}  // namespace

Result<ir::Graph> Glm4Moe(const FamilyInputs& inputs) {
  const checkpoint::ConfigReader& config = inputs.config;
  QEFF_ASSIGN_OR_RETURN(DecoderFacts facts,
                        ReadDecoderFacts(inputs, {.vocab_size = 151552,
                                                  .max_position_embeddings = 131072,
                                                  .num_key_value_heads = 8,
                                                  .norm_epsilon = 1e-5,
                                                  .partial_rotary_factor = 0.5}));
  QEFF_ASSIGN_OR_RETURN(facts.attention.query_key_value_have_bias,
                        config.BoolOr("attention_bias", false));
  QEFF_ASSIGN_OR_RETURN(const bool has_norm, config.BoolOr("use_qk_norm", false));
  if (has_norm) facts.attention.query_key_norm = QueryKeyNorm::kEachHead;
  QEFF_RETURN_IF_ERROR(IgnoreLayersOfLaterTokens(config, facts));
  QEFF_ASSIGN_OR_RETURN(const ExpertsFacts experts, ReadGlmExperts(config, facts.mlp));
  QEFF_ASSIGN_OR_RETURN(const int64_t dense,
                        config.IntOr("first_k_dense_replace", 1, checkpoint::kNotNegative));
  for (size_t i = static_cast<size_t>(dense); i < facts.layers.size(); ++i) {
    facts.layers[i].feed_forward = ExpertsBlock(experts);
  }
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
