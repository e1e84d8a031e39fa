// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Qwen3-MoE: Qwen3 with routed experts on the layers that the config says. Weights: softmax over
// all experts, those of the best k divided by their sum if asked for.
#include "lib/families/blocks/decoder_config.h"
#include "lib/families/blocks/experts.h"

namespace qeff::families {

Result<ir::Graph> Qwen3Moe(const FamilyInputs& inputs) {
  const checkpoint::ConfigReader& config = inputs.config;
  QEFF_ASSIGN_OR_RETURN(DecoderFacts facts,
                        ReadDecoderFacts(inputs, {.vocab_size = 151936,
                                                  .max_position_embeddings = 32768,
                                                  .num_key_value_heads = 4}));
  QEFF_RETURN_IF_ERROR(ReadAttentionBias(config, facts));
  facts.attention.query_key_norm = QueryKeyNorm::kEachHead;
  QEFF_RETURN_IF_ERROR(ReadWindows(
      config, {.needs_use_sliding_window = true, .default_sliding_window = 4096}, facts));
  ExpertsFacts experts;
  QEFF_ASSIGN_OR_RETURN(experts.router,
                        ReadRouter(config, {.num_experts = {"num_experts", "num_local_experts"},
                                            .default_num_experts = 128,
                                            .default_experts_per_token = 8}));
  QEFF_ASSIGN_OR_RETURN(experts.router.weights_are_normalized,
                        config.BoolOr("norm_topk_prob", false));
  QEFF_ASSIGN_OR_RETURN(experts.ffn_size,
                        config.IntOr("moe_intermediate_size", 768, checkpoint::kPositive));
  experts.activation = facts.mlp.activation;
  QEFF_RETURN_IF_ERROR(SetSparseLayers(config, ExpertsBlock(experts), facts));
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
