// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Qwen3.5, text, dense: three layers of gated delta net to one of gated attention, a quarter of
// each head rotated. Text has the same position on all three axes of the interleaved rotation,
// which makes it the plain one.
#include "lib/families/blocks/decoder_config.h"
#include "lib/families/blocks/gated_delta_net.h"

namespace qeff::families {

Result<ir::Graph> Qwen35Text(const FamilyInputs& inputs) {
  QEFF_ASSIGN_OR_RETURN(DecoderFacts facts,
                        ReadDecoderFacts(inputs, {.vocab_size = 248320,
                                                  .max_position_embeddings = 32768,
                                                  .hidden_size = 4096,
                                                  .num_hidden_layers = 32,
                                                  .num_attention_heads = 16,
                                                  .intermediate_size = 12288,
                                                  .num_key_value_heads = 4,
                                                  .head_dim = 256,
                                                  .partial_rotary_factor = 0.25}));
  facts.names.prefix = FindTextPrefix(inputs.weights);
  QEFF_RETURN_IF_ERROR(MarkSectionedRotation(inputs.config));
  QEFF_RETURN_IF_ERROR(ReadDeltaNetLayers(inputs, DeltaNetProjections::kSeparate, facts));
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
