// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// StarCoder 2: LayerNorm, an MLP without gate, biases on all linear layers unless switched off;
// every layer has the sliding window unless it is null.
#include "lib/families/blocks/decoder_config.h"

namespace qeff::families {

Result<ir::Graph> Starcoder2(const FamilyInputs& inputs) {
  QEFF_ASSIGN_OR_RETURN(DecoderFacts facts,
                        ReadDecoderFacts(inputs, {.vocab_size = 49152,
                                                  .max_position_embeddings = 4096,
                                                  .num_key_value_heads = 2,
                                                  .norm_epsilon = 1e-5,
                                                  .activation = "gelu_pytorch_tanh",
                                                  .tie_word_embeddings = true,
                                                  .keys = {.norm_epsilon = "norm_epsilon"}}));
  facts.norm.kind = NormKind::kLayer;
  QEFF_ASSIGN_OR_RETURN(const bool has_bias, inputs.config.BoolOr("use_bias", true));
  facts.attention.query_key_value_have_bias = has_bias;
  facts.attention.output_has_bias = has_bias;
  facts.mlp.has_bias = has_bias;
  facts.mlp.is_gated = false;
  facts.mlp.names.up = "c_fc";
  facts.mlp.names.down = "c_proj";
  QEFF_RETURN_IF_ERROR(ReadWindows(inputs.config, {.has_layer_types = false}, facts));
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
