// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Phi 3, 3.5 and 4: one tensor for query, key and value and one for gate and up; every layer has
// the sliding window unless it is null. Long contexts use longrope (RotaryKind::kByContext).
#include "lib/families/blocks/decoder_config.h"

namespace qeff::families {

Result<ir::Graph> Phi3(const FamilyInputs& inputs) {
  QEFF_ASSIGN_OR_RETURN(
      DecoderFacts facts,
      ReadDecoderFacts(
          inputs, {.vocab_size = 32064, .max_position_embeddings = 4096, .norm_epsilon = 1e-5}));
  facts.attention.names.fused.name = "qkv_proj";
  facts.mlp.names.gate_up = "gate_up_proj";
  QEFF_RETURN_IF_ERROR(ReadWindows(inputs.config, {.has_layer_types = false}, facts));
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
