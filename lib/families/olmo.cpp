// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// OLMo 1: Llama with LayerNorms that have neither weight nor bias, and values of query, key and
// value clamped if the config says so.
#include "lib/families/blocks/decoder_config.h"

namespace qeff::families {

Result<ir::Graph> Olmo(const FamilyInputs& inputs) {
  QEFF_ASSIGN_OR_RETURN(DecoderFacts facts,
                        ReadDecoderFacts(inputs, {.vocab_size = 50304,
                                                  .max_position_embeddings = 2048,
                                                  .norm_epsilon = 1e-5,  // fixed by the class
                                                  .keys = {.norm_epsilon = ""}}));
  facts.norm.kind = NormKind::kLayer;
  facts.norm.has_weight = false;
  QEFF_RETURN_IF_ERROR(ReadAttentionBias(inputs.config, facts));
  QEFF_ASSIGN_OR_RETURN(const auto clip,
                        inputs.config.OptionalFloat("clip_qkv", checkpoint::kPositiveFloat));
  facts.attention.clip = static_cast<float>(clip.value_or(0));
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
