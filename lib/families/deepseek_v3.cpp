// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// DeepSeek-V3, R1 and V3.1: latent attention, whose scores the yarn factor of long contexts scales;
// after the first layers, which are dense, routed experts with a dense block beside them. The best
// sigmoids choose, corrected and by groups; the weights are the plain sigmoids, divided by their
// sum if asked for, times a factor. Layers that predict later tokens are left alone.
#include "lib/families/blocks/decoder_config.h"
#include "lib/families/blocks/experts.h"
#include "lib/families/blocks/latent_attention.h"

namespace qeff::families {
namespace {

/// A key that transformers does not read, since it knows one value of it.
Status Expect(const checkpoint::ConfigReader& config, std::string_view key, std::string expected) {
  QEFF_ASSIGN_OR_RETURN(const std::string value, config.StringOr(key, expected));
  if (value == expected) return Status::Ok();
  return config.ErrorAt(ErrorCode::kUnsupported, key,
                        fmt::format("expected {}, got '{}'", expected, value));
}

Result<ExpertsFacts> ReadExperts(const checkpoint::ConfigReader& config, MlpFacts dense) {
  QEFF_RETURN_IF_ERROR(Expect(config, "scoring_func", "sigmoid"));
  QEFF_RETURN_IF_ERROR(Expect(config, "topk_method", "noaux_tc"));
  ExpertsFacts experts;
  RouterFacts& router = experts.router;
  QEFF_ASSIGN_OR_RETURN(router, ReadRouter(config, {.num_experts = {"n_routed_experts"},
                                                    .default_num_experts = 256,
                                                    .default_experts_per_token = 8}));
  router.score = RouterScore::kSigmoid;
  router.choice_is_corrected = true;
  router.group_rank = GroupRank::kSumOfTwoBest;
  router.num_groups = 8;
  router.groups_per_token = 4;
  QEFF_RETURN_IF_ERROR(ReadExpertGroups(config, router));
  QEFF_ASSIGN_OR_RETURN(router.weights_are_normalized, config.BoolOr("norm_topk_prob", true));
  router.normalization_epsilon = 1e-20F;
  QEFF_ASSIGN_OR_RETURN(const double scale, config.FloatOr("routed_scaling_factor", 2.5));
  router.weight_scale = static_cast<float>(scale);
  QEFF_ASSIGN_OR_RETURN(experts.ffn_size,
                        config.IntOr("moe_intermediate_size", 2048, checkpoint::kPositive));
  experts.activation = dense.activation;
  QEFF_ASSIGN_OR_RETURN(const int64_t shared,
                        config.IntOr("n_shared_experts", 1, checkpoint::kPositive));
  dense.names.prefix = "shared_experts.";
  dense.ffn_size = experts.ffn_size * shared;
  experts.shared = SharedExpertFacts{.mlp = std::move(dense), .gate = ""};
  return experts;
}

}  // namespace

Result<ir::Graph> DeepseekV3(const FamilyInputs& inputs) {
  QEFF_ASSIGN_OR_RETURN(LatentDecoder decoder,
                        ReadLatentDecoder(inputs, {.vocab_size = 129280,
                                                   .max_position_embeddings = 4096,
                                                   .hidden_size = 7168,
                                                   .num_hidden_layers = 61,
                                                   .num_attention_heads = 128,
                                                   .intermediate_size = 18432,
                                                   .first_dense_layers = 3,
                                                   .yarn_scale = YarnScale::kSquared}));
  DecoderFacts& facts = decoder.facts;
  QEFF_ASSIGN_OR_RETURN(const ExpertsFacts experts, ReadExperts(inputs.config, facts.mlp));
  for (size_t i = static_cast<size_t>(decoder.first_sparse_layer); i < facts.layers.size(); ++i) {
    facts.layers[i].feed_forward = ExpertsBlock(experts);
  }
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
