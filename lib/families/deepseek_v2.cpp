// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// DeepSeek-V2 and V2-Lite: latent attention; after the first layers, which are dense, routed
// experts with a dense block beside them. Softmax over all experts ranks them, by groups in the
// larger model; the weights are those scores times a factor. As in transformers, the yarn factors
// of long contexts do not change the scale of the scores (the code that came with the checkpoints
// did).
#include "lib/families/blocks/decoder_config.h"
#include "lib/families/blocks/experts.h"
#include "lib/families/blocks/latent_attention.h"

namespace qeff::families {
namespace {

Status ReadChoice(const checkpoint::ConfigReader& config, RouterFacts& router) {
  QEFF_ASSIGN_OR_RETURN(const std::string scores, config.StringOr("scoring_func", "softmax"));
  if (scores != "softmax") {
    return config.ErrorAt(ErrorCode::kUnsupported, "scoring_func",
                          fmt::format("expected softmax, got '{}'", scores));
  }
  QEFF_RETURN_IF_ERROR(
      RefuseIfTrue(config, "norm_topk_prob", "weights that are divided by their sum"));
  QEFF_ASSIGN_OR_RETURN(const std::string method, config.StringOr("topk_method", "greedy"));
  if (method == "group_limited_greedy") {
    router.group_rank = GroupRank::kBest;
    return ReadExpertGroups(config, router);
  }
  for (const char* unused : {"n_group", "topk_group"}) config.MarkRead(unused);
  if (method == "greedy") return Status::Ok();
  return config.ErrorAt(ErrorCode::kUnsupported, "topk_method",
                        fmt::format("unknown method '{}'", method),
                        {"known: greedy, group_limited_greedy"});
}

Result<ExpertsFacts> ReadExperts(const checkpoint::ConfigReader& config, MlpFacts dense) {
  ExpertsFacts experts;
  RouterFacts& router = experts.router;
  QEFF_ASSIGN_OR_RETURN(
      router, ReadRouter(config, {.num_experts = {"n_routed_experts"}, .default_num_experts = 64}));
  QEFF_RETURN_IF_ERROR(ReadChoice(config, router));
  QEFF_ASSIGN_OR_RETURN(const double scale, config.FloatOr("routed_scaling_factor", 1));
  router.weight_scale = static_cast<float>(scale);
  QEFF_ASSIGN_OR_RETURN(experts.ffn_size,
                        config.IntOr("moe_intermediate_size", 1407, checkpoint::kPositive));
  experts.activation = dense.activation;
  QEFF_ASSIGN_OR_RETURN(const int64_t shared,
                        config.IntOr("n_shared_experts", 2, checkpoint::kPositive));
  dense.names.prefix = "shared_experts.";
  dense.ffn_size = experts.ffn_size * shared;
  experts.shared = SharedExpertFacts{.mlp = std::move(dense), .gate = ""};
  return experts;
}

}  // namespace

Result<ir::Graph> DeepseekV2(const FamilyInputs& inputs) {
  QEFF_ASSIGN_OR_RETURN(LatentDecoder decoder,
                        ReadLatentDecoder(inputs, {.vocab_size = 32000,
                                                   .max_position_embeddings = 2048,
                                                   .hidden_size = 4096,
                                                   .num_hidden_layers = 32,
                                                   .num_attention_heads = 32,
                                                   .intermediate_size = 11008}));
  DecoderFacts& facts = decoder.facts;
  QEFF_ASSIGN_OR_RETURN(facts.mlp.has_bias, inputs.config.BoolOr("mlp_bias", false));
  QEFF_ASSIGN_OR_RETURN(const ExpertsFacts experts, ReadExperts(inputs.config, facts.mlp));
  for (size_t i = static_cast<size_t>(decoder.first_sparse_layer); i < facts.layers.size(); ++i) {
    facts.layers[i].feed_forward = ExpertsBlock(experts);
  }
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
