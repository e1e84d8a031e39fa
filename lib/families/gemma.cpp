// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Gemma: norms whose stored weight is one less than the factor, embeddings multiplied by the square
// root of their size, heads of a size of their own.
#include <cmath>

#include "lib/families/blocks/decoder_config.h"

namespace qeff::families {

Result<ir::Graph> Gemma(const FamilyInputs& inputs) {
  QEFF_RETURN_IF_ERROR(
      RefuseIfTrue(inputs.config, "use_bidirectional_attention", "attention to later tokens"));
  QEFF_ASSIGN_OR_RETURN(DecoderFacts facts,
                        ReadDecoderFacts(inputs, {.vocab_size = 256000,
                                                  .max_position_embeddings = 8192,
                                                  .num_key_value_heads = 16,
                                                  .head_dim = 256,
                                                  .activation = "gelu_pytorch_tanh",
                                                  .tie_word_embeddings = true}));
  // Files of the first release have it beside hidden_act; transformers follows hidden_act.
  inputs.config.MarkRead("hidden_activation");
  facts.norm.weight_offset = 1;
  facts.embedding_scale = std::sqrt(static_cast<float>(facts.hidden_size));
  QEFF_RETURN_IF_ERROR(ReadAttentionBias(inputs.config, facts));
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
