// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Qwen2 and Qwen2.5: the shared decoder with biases on query, key and value; layers from
// max_window_layers on have a sliding window if use_sliding_window is set.
#include "lib/families/blocks/decoder_config.h"

namespace qeff::families {

Result<ir::Graph> Qwen2(const FamilyInputs& inputs) {
  QEFF_ASSIGN_OR_RETURN(DecoderFacts facts,
                        ReadDecoderFacts(inputs, {.vocab_size = 151936,
                                                  .max_position_embeddings = 32768,
                                                  .num_key_value_heads = 32}));
  facts.attention.query_key_value_have_bias = true;
  QEFF_RETURN_IF_ERROR(ReadWindows(inputs.config,
                                   {.needs_use_sliding_window = true,
                                    .default_max_window_layers = 28,
                                    .default_sliding_window = 4096},
                                   facts));
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
