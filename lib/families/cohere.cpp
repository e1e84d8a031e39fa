// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Cohere Command R: attention and MLP side by side over one LayerNorm without bias, pairs of
// neighbours rotated, logits multiplied by a constant, query and key normalized if the config says
// so.
#include "lib/families/blocks/decoder_config.h"

namespace qeff::families {

Result<ir::Graph> Cohere(const FamilyInputs& inputs) {
  QEFF_ASSIGN_OR_RETURN(DecoderFacts facts,
                        ReadDecoderFacts(inputs, {.vocab_size = 256000,
                                                  .max_position_embeddings = 8192,
                                                  .norm_epsilon = 1e-5,
                                                  .rope_theta = 500000,
                                                  .tie_word_embeddings = true,
                                                  .keys = {.norm_epsilon = "layer_norm_eps"}}));
  facts.is_parallel = true;
  facts.names.mlp_norm.clear();
  facts.norm.kind = NormKind::kLayer;
  facts.norm.has_bias = false;
  facts.attention.rotation_is_interleaved = true;
  QEFF_RETURN_IF_ERROR(ReadAttentionBias(inputs.config, facts));
  QEFF_ASSIGN_OR_RETURN(const double logits_scale, inputs.config.FloatOr("logit_scale", 0.0625));
  facts.logits_scale = static_cast<float>(logits_scale);
  QEFF_ASSIGN_OR_RETURN(const bool has_head_norm, inputs.config.BoolOr("use_qk_norm", false));
  if (has_head_norm) facts.attention.query_key_norm = QueryKeyNorm::kEachHeadOwnWeight;
  facts.attention.head_norm = facts.norm;
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
