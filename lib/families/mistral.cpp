// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Mistral: the shared decoder without biases; every layer has the sliding window unless it is null.
#include "lib/families/blocks/decoder_config.h"

namespace qeff::families {

Result<ir::Graph> Mistral(const FamilyInputs& inputs) {
  QEFF_ASSIGN_OR_RETURN(DecoderFacts facts,
                        ReadDecoderFacts(inputs, {.vocab_size = 32000,
                                                  .max_position_embeddings = 131072,
                                                  .num_key_value_heads = 8}));
  QEFF_RETURN_IF_ERROR(ReadWindows(inputs.config, {.default_sliding_window = 4096}, facts));
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
