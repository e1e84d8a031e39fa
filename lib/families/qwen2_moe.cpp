// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Qwen2-MoE (Qwen1.5-MoE, Qwen2-57B-A14B): Qwen2 with routed experts on the layers that the config
// says, and beside them a dense block that counts as a sigmoid of its own gate says.
#include "lib/families/blocks/decoder_config.h"
#include "lib/families/blocks/experts.h"

namespace qeff::families {

Result<ir::Graph> Qwen2Moe(const FamilyInputs& inputs) {
  const checkpoint::ConfigReader& config = inputs.config;
  QEFF_ASSIGN_OR_RETURN(DecoderFacts facts,
                        ReadDecoderFacts(inputs, {.vocab_size = 151936,
                                                  .max_position_embeddings = 32768,
                                                  .num_key_value_heads = 16}));
  QEFF_ASSIGN_OR_RETURN(facts.attention.query_key_value_have_bias, config.BoolOr("qkv_bias", true));
  QEFF_RETURN_IF_ERROR(ReadWindows(config,
                                   {.needs_use_sliding_window = true,
                                    .default_max_window_layers = 28,
                                    .default_sliding_window = 4096},
                                   facts));
  ExpertsFacts experts;
  QEFF_ASSIGN_OR_RETURN(experts.router, ReadRouter(config, {.num_experts = {"num_experts"},
                                                            .default_num_experts = 60,
                                                            .default_experts_per_token = 4}));
  QEFF_ASSIGN_OR_RETURN(experts.router.weights_are_normalized,
                        config.BoolOr("norm_topk_prob", false));
  QEFF_ASSIGN_OR_RETURN(experts.ffn_size,
                        config.IntOr("moe_intermediate_size", 1408, checkpoint::kPositive));
  experts.activation = facts.mlp.activation;
  experts.shared.emplace();
  experts.shared->mlp = facts.mlp;
  experts.shared->mlp.names.prefix = "shared_expert.";
  experts.shared->gate = "shared_expert_gate";
  QEFF_ASSIGN_OR_RETURN(
      experts.shared->mlp.ffn_size,
      config.IntOr("shared_expert_intermediate_size", 5632, checkpoint::kPositive));
  QEFF_RETURN_IF_ERROR(SetSparseLayers(config, ExpertsBlock(experts), facts));
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
