// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Nemotron and Minitron: LayerNorms whose stored weight is one less than the factor, an MLP without
// gate, the first half of each head rotated unless the config says otherwise.
#include "lib/families/blocks/decoder_config.h"

namespace qeff::families {

Result<ir::Graph> Nemotron(const FamilyInputs& inputs) {
  QEFF_ASSIGN_OR_RETURN(DecoderFacts facts,
                        ReadDecoderFacts(inputs, {.vocab_size = 256000,
                                                  .max_position_embeddings = 4096,
                                                  .norm_epsilon = 1e-5,
                                                  .activation = "relu2",
                                                  .partial_rotary_factor = 0.5,
                                                  .keys = {.norm_epsilon = "norm_eps"}}));
  facts.norm.kind = NormKind::kLayer;
  facts.norm.weight_offset = 1;
  facts.mlp.is_gated = false;
  QEFF_RETURN_IF_ERROR(ReadAttentionBias(inputs.config, facts));
  QEFF_ASSIGN_OR_RETURN(facts.mlp.has_bias, inputs.config.BoolOr("mlp_bias", false));
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
