// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// OLMoE: routed experts on every layer; query and key are RMS-normalized over all their heads
// together, and query, key and value clamped if the config says so.
#include "lib/families/blocks/decoder_config.h"
#include "lib/families/blocks/experts.h"

namespace qeff::families {

Result<ir::Graph> Olmoe(const FamilyInputs& inputs) {
  const checkpoint::ConfigReader& config = inputs.config;
  QEFF_ASSIGN_OR_RETURN(
      DecoderFacts facts,
      ReadDecoderFacts(
          inputs, {.vocab_size = 50304, .max_position_embeddings = 4096, .norm_epsilon = 1e-5}));
  QEFF_RETURN_IF_ERROR(ReadAttentionBias(config, facts));
  facts.attention.query_key_norm = QueryKeyNorm::kAllHeads;
  QEFF_ASSIGN_OR_RETURN(const auto clip,
                        config.OptionalFloat("clip_qkv", checkpoint::kPositiveFloat));
  facts.attention.clip = static_cast<float>(clip.value_or(0));
  ExpertsFacts experts;
  QEFF_ASSIGN_OR_RETURN(experts.router, ReadRouter(config, {.num_experts = {"num_experts"},
                                                            .default_num_experts = 64,
                                                            .default_experts_per_token = 8}));
  QEFF_ASSIGN_OR_RETURN(experts.router.weights_are_normalized,
                        config.BoolOr("norm_topk_prob", false));
  experts.ffn_size = facts.mlp.ffn_size;
  experts.activation = facts.mlp.activation;
  for (LayerFacts& layer : facts.layers) layer.feed_forward = ExpertsBlock(experts);
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
