// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// OLMo 2: norms after attention and MLP instead of before, query and key normalized over all heads
// together.
#include "lib/families/blocks/decoder_config.h"

namespace qeff::families {

Result<ir::Graph> Olmo2(const FamilyInputs& inputs) {
  QEFF_ASSIGN_OR_RETURN(
      DecoderFacts facts,
      ReadDecoderFacts(
          inputs, {.vocab_size = 50304, .max_position_embeddings = 2048, .norm_epsilon = 1e-5}));
  facts.names.attention_norm.clear();
  facts.names.attention_post_norm = "post_attention_layernorm";
  facts.names.mlp_norm.clear();
  facts.names.mlp_post_norm = "post_feedforward_layernorm";
  facts.attention.query_key_norm = QueryKeyNorm::kAllHeads;
  QEFF_RETURN_IF_ERROR(ReadAttentionBias(inputs.config, facts));
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
