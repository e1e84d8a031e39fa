// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Qwen3-Next: three layers of gated delta net, whose projections are stored by key head, to one of
// gated attention, a quarter of each head rotated; routed experts and a shared one with a gate on
// every decoder_sparse_step-th layer that mlp_only_layers does not name.
#include <algorithm>

#include "lib/families/blocks/decoder_config.h"
#include "lib/families/blocks/experts.h"
#include "lib/families/blocks/gated_delta_net.h"

namespace qeff::families {
namespace {

Result<ExpertsFacts> ReadExperts(const checkpoint::ConfigReader& config,
                                 const std::string& activation) {
  ExpertsFacts experts;
  QEFF_ASSIGN_OR_RETURN(experts.router,
                        ReadRouter(config, {.num_experts = {"num_experts", "num_local_experts"},
                                            .default_num_experts = 512,
                                            .default_experts_per_token = 10}));
  QEFF_ASSIGN_OR_RETURN(experts.router.weights_are_normalized,
                        config.BoolOr("norm_topk_prob", true));
  QEFF_ASSIGN_OR_RETURN(experts.ffn_size,
                        config.IntOr("moe_intermediate_size", 512, checkpoint::kPositive));
  QEFF_ASSIGN_OR_RETURN(const int64_t shared_size, config.IntOr("shared_expert_intermediate_size",
                                                                512, checkpoint::kPositive));
  experts.activation = activation;
  experts.shared = {.mlp = {.names = {.prefix = "shared_expert."},
                            .ffn_size = shared_size,
                            .activation = activation},
                    .gate = "shared_expert_gate"};
  return experts;
}

}  // namespace

Result<ir::Graph> Qwen3Next(const FamilyInputs& inputs) {
  const checkpoint::ConfigReader& config = inputs.config;
  QEFF_ASSIGN_OR_RETURN(DecoderFacts facts,
                        ReadDecoderFacts(inputs, {.vocab_size = 151936,
                                                  .max_position_embeddings = 32768,
                                                  .hidden_size = 2048,
                                                  .num_hidden_layers = 48,
                                                  .num_attention_heads = 16,
                                                  .intermediate_size = 5632,
                                                  .num_key_value_heads = 2,
                                                  .head_dim = 256,
                                                  .partial_rotary_factor = 0.25}));
  QEFF_RETURN_IF_ERROR(ReadDeltaNetLayers(inputs, DeltaNetProjections::kByKeyHead, facts));
  QEFF_ASSIGN_OR_RETURN(const ExpertsFacts experts, ReadExperts(config, facts.mlp.activation));
  QEFF_ASSIGN_OR_RETURN(const int64_t step,
                        config.IntOr("decoder_sparse_step", 1, checkpoint::kPositive));
  QEFF_ASSIGN_OR_RETURN(const std::vector<int64_t> dense_layers, config.Ints("mlp_only_layers"));
  for (size_t i = 0; i < facts.layers.size(); ++i) {
    const auto layer = static_cast<int64_t>(i);
    const bool is_dense =
        std::find(dense_layers.begin(), dense_layers.end(), layer) != dense_layers.end();
    if (!is_dense && (layer + 1) % step == 0) facts.layers[i].feed_forward = ExpertsBlock(experts);
  }
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
