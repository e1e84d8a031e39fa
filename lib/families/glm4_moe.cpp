// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// GLM-4.5, 4.6 and 4.7: part of each head rotated; after the first layers, which are dense, routed
// experts with a dense block beside them. The best sigmoids choose, corrected and by groups; the
// weights are the plain sigmoids, divided by their sum if asked for, times a factor.
#include "lib/families/blocks/decoder_config.h"
#include "lib/families/blocks/experts.h"

namespace qeff::families {

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
  QEFF_ASSIGN_OR_RETURN(
      const ExpertsFacts experts,
      ReadCorrectedSigmoidExperts(config, {.num_experts = 128, .ffn_size = 1408}, facts.mlp));
  QEFF_ASSIGN_OR_RETURN(const int64_t dense,
                        config.IntOr("first_k_dense_replace", 1, checkpoint::kNotNegative));
  for (size_t i = static_cast<size_t>(dense); i < facts.layers.size(); ++i) {
    facts.layers[i].feed_forward = ExpertsBlock(experts);
  }
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
