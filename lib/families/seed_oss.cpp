// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Seed-OSS: Llama with biases on query, key and value unless switched off, a switch of its own for
// the bias of the output, and a head size of its own.
#include "lib/families/blocks/decoder_config.h"

namespace qeff::families {

Result<ir::Graph> SeedOss(const FamilyInputs& inputs) {
  const checkpoint::ConfigReader& config = inputs.config;
  QEFF_ASSIGN_OR_RETURN(DecoderFacts facts,
                        ReadDecoderFacts(inputs, {.vocab_size = 155136,
                                                  .max_position_embeddings = 524288,
                                                  .num_key_value_heads = 8,
                                                  .head_dim = 128}));
  QEFF_ASSIGN_OR_RETURN(facts.attention.query_key_value_have_bias,
                        config.BoolOr("attention_bias", true));
  QEFF_ASSIGN_OR_RETURN(facts.attention.output_has_bias,
                        config.BoolOr("attention_out_bias", false));
  QEFF_ASSIGN_OR_RETURN(facts.mlp.has_bias, config.BoolOr("mlp_bias", false));
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
