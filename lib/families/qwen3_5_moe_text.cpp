// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Qwen3.5, text, with routed experts on every layer and a shared one that has a gate; else as
// qwen3_5_text. Weights: softmax over all experts, those of the best k divided by their sum.
#include "lib/families/blocks/decoder_config.h"
#include "lib/families/blocks/experts.h"
#include "lib/families/blocks/gated_delta_net.h"

namespace qeff::families {

Result<ir::Graph> Qwen35MoeText(const FamilyInputs& inputs) {
  const checkpoint::ConfigReader& config = inputs.config;
  QEFF_ASSIGN_OR_RETURN(
      DecoderFacts facts,
      ReadDecoderFacts(inputs, {.vocab_size = 248320,
                                .max_position_embeddings = 32768,
                                .hidden_size = 2048,
                                .num_hidden_layers = 40,
                                .num_attention_heads = 16,
                                .intermediate_size = 512,
                                .num_key_value_heads = 2,
                                .head_dim = 256,
                                .partial_rotary_factor = 0.25,
                                .keys = {.intermediate_size = "moe_intermediate_size"}}));
  facts.names.prefix = FindTextPrefix(inputs.weights);
  QEFF_RETURN_IF_ERROR(MarkSectionedRotation(config));
  QEFF_RETURN_IF_ERROR(ReadDeltaNetLayers(inputs, DeltaNetProjections::kSeparate, facts));
  QEFF_ASSIGN_OR_RETURN(const int64_t shared_size, config.IntOr("shared_expert_intermediate_size",
                                                                512, checkpoint::kPositive));
  ExpertsFacts experts;
  QEFF_ASSIGN_OR_RETURN(experts.router, ReadRouter(config, {.num_experts = {"num_experts"},
                                                            .default_num_experts = 256,
                                                            .default_experts_per_token = 8}));
  experts.router.weights_are_normalized = true;
  experts.ffn_size = facts.mlp.ffn_size;
  experts.activation = facts.mlp.activation;
  experts.shared = {.mlp = {.names = {.prefix = "shared_expert."},
                            .ffn_size = shared_size,
                            .activation = facts.mlp.activation},
                    .gate = "shared_expert_gate"};
  for (LayerFacts& layer : facts.layers) layer.feed_forward = ExpertsBlock(experts);
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
