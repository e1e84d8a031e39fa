// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Qwen3 (dense): as Qwen2, but query and key are RMS-normalized per head before the rotation,
// biases only if the config says so, and a head size of 128 unless given.
#include "lib/families/blocks/decoder_config.h"

namespace qeff::families {

Result<ir::Graph> Qwen3(const FamilyInputs& inputs) {
  QEFF_ASSIGN_OR_RETURN(DecoderFacts facts,
                        ReadDecoderFacts(inputs, {.vocab_size = 151936,
                                                  .max_position_embeddings = 32768,
                                                  .num_key_value_heads = 32,
                                                  .head_dim = 128}));
  QEFF_RETURN_IF_ERROR(ReadAttentionBias(inputs.config, facts));
  facts.attention.query_key_norm = QueryKeyNorm::kEachHead;
  QEFF_RETURN_IF_ERROR(ReadWindows(inputs.config,
                                   {.needs_use_sliding_window = true,
                                    .default_max_window_layers = 28,
                                    .default_sliding_window = 4096},
                                   facts));
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
