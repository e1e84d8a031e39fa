// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// GPT-NeoX (Pythia, Dolly, RedPajama): a quarter of each head is rotated; attention and
// feed-forward block have norms of their own and add to the same stream unless
// use_parallel_residual is off.
#include "lib/families/blocks/decoder_config.h"

namespace qeff::families {

Result<ir::Graph> GptNeox(const FamilyInputs& inputs) {
  const checkpoint::ConfigReader& config = inputs.config;
  QEFF_ASSIGN_OR_RETURN(DecoderFacts facts,
                        ReadDecoderFacts(inputs, {.vocab_size = 50432,
                                                  .max_position_embeddings = 2048,
                                                  .norm_epsilon = 1e-5,
                                                  .activation = "gelu",
                                                  .partial_rotary_factor = 0.25,
                                                  .keys = {.num_key_value_heads = "",
                                                           .head_dim = "",
                                                           .norm_epsilon = "layer_norm_eps",
                                                           .rope_theta = "rotary_emb_base"}}));
  facts.names = {.prefix = "gpt_neox.",
                 .embedding = "embed_in",
                 .final_norm = "final_layer_norm",
                 .head = "embed_out"};
  facts.norm.kind = NormKind::kLayer;
  QEFF_ASSIGN_OR_RETURN(facts.is_parallel, config.BoolOr("use_parallel_residual", true));

  AttentionFacts& attention = facts.attention;
  attention.names = {.prefix = "attention.",
                     .fused = {.name = "query_key_value", .groups = attention.num_heads},
                     .output = "dense"};
  QEFF_ASSIGN_OR_RETURN(const bool has_bias, config.BoolOr("attention_bias", true));
  attention.query_key_value_have_bias = attention.output_has_bias = has_bias;

  // transformers 4 saved the base under both names, transformers 5 reads only this family's own.
  QEFF_ASSIGN_OR_RETURN(const auto theta, config.OptionalFloat("rope_theta"));
  QEFF_ASSIGN_OR_RETURN(const auto base, config.OptionalFloat("rotary_emb_base"));
  if (theta && theta != base.value_or(10000)) {
    return config.ErrorAt(ErrorCode::kInvalidInput, "rope_theta",
                          fmt::format("expected the value of rotary_emb_base ({}), got {}",
                                      base.value_or(10000), *theta));
  }

  facts.mlp.names = {.up = "dense_h_to_4h", .down = "dense_4h_to_h"};
  facts.mlp.is_gated = false;
  facts.mlp.has_bias = true;
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
