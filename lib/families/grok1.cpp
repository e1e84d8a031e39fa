// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Grok-1: norms before and after attention and experts, capped scores, factors on embeddings,
// scores and logits. Weights: the softmax over all experts, as it is.
#include "lib/families/blocks/decoder_config.h"
#include "lib/families/blocks/experts.h"

namespace qeff::families {

Result<ir::Graph> Grok1(const FamilyInputs& inputs) {
  const checkpoint::ConfigReader& config = inputs.config;
  QEFF_ASSIGN_OR_RETURN(DecoderFacts facts, ReadDecoderFacts(inputs, {.vocab_size = 0,
                                                                      .max_position_embeddings = 0,
                                                                      .norm_epsilon = 1e-5,
                                                                      .tie_word_embeddings = true,
                                                                      .keys = {.activation = ""}}));
  facts.names.attention_norm = "pre_attn_norm";
  facts.names.attention_post_norm = "post_attn_norm";
  facts.names.mlp_norm = "pre_moe_norm";
  facts.names.mlp_post_norm = "post_moe_norm";
  facts.norm.weight_name = "scale";
  facts.attention.names.prefix = "attn.";
  const auto read = [&](std::string_view key, float& value) -> Status {
    QEFF_ASSIGN_OR_RETURN(const double factor, config.Float(key, checkpoint::kPositiveFloat));
    value = static_cast<float>(factor);
    return Status::Ok();
  };
  float scale = 0;
  QEFF_RETURN_IF_ERROR(read("attn_output_multiplier", scale));
  facts.attention.scale = scale;
  QEFF_RETURN_IF_ERROR(read("max_attn_value", facts.attention.softcap));
  QEFF_RETURN_IF_ERROR(read("embedding_multiplier_scale", facts.embedding_scale));
  QEFF_RETURN_IF_ERROR(read("output_multiplier_scale", facts.logits_scale));
  ExpertsFacts experts;
  QEFF_ASSIGN_OR_RETURN(experts.router,
                        ReadRouter(config, {.num_experts = {"num_experts", "num_local_experts"}}));
  experts.names.prefixes = {"moe_block."};
  experts.names.gate = "linear";
  experts.names.up = "linear_v";
  experts.names.down = "linear_1";
  experts.ffn_size = facts.mlp.ffn_size;
  experts.activation = "gelu";
  for (LayerFacts& layer : facts.layers) layer.feed_forward = ExpertsBlock(experts);
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
