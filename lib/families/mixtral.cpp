// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Mixtral: Mistral with routed experts on every layer. Weights: softmax over all experts, those of
// the best k divided by their sum.
#include "lib/families/blocks/decoder_config.h"
#include "lib/families/blocks/experts.h"

namespace qeff::families {

Result<ir::Graph> Mixtral(const FamilyInputs& inputs) {
  QEFF_ASSIGN_OR_RETURN(DecoderFacts facts,
                        ReadDecoderFacts(inputs, {.vocab_size = 32000,
                                                  .max_position_embeddings = 131072,
                                                  .num_key_value_heads = 8,
                                                  .norm_epsilon = 1e-5,
                                                  .rope_theta = 1e6}));
  QEFF_RETURN_IF_ERROR(ReadWindows(inputs.config, {}, facts));
  ExpertsFacts experts;
  QEFF_ASSIGN_OR_RETURN(
      experts.router,
      ReadRouter(inputs.config, {.default_num_experts = 8, .default_experts_per_token = 2}));
  experts.router.weights_are_normalized = true;
  experts.names.prefixes = {"block_sparse_moe.", "mlp."};
  experts.names.gate = "w1";
  experts.names.up = "w3";
  experts.names.down = "w2";
  experts.ffn_size = facts.mlp.ffn_size;
  experts.activation = facts.mlp.activation;
  inputs.config.MarkRead("router_jitter_noise");  // training only
  for (LayerFacts& layer : facts.layers) layer.feed_forward = ExpertsBlock(experts);
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
