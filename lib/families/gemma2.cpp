// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Gemma 2: as Gemma, with a norm after attention and MLP, too, soft caps of scores and logits, a
// scale of the scores of its own, and a window on every second layer.
#include <cmath>

#include "lib/families/blocks/decoder_config.h"

namespace qeff::families {

Result<ir::Graph> Gemma2(const FamilyInputs& inputs) {
  const checkpoint::ConfigReader& config = inputs.config;
  QEFF_RETURN_IF_ERROR(
      RefuseIfTrue(config, "use_bidirectional_attention", "attention to later tokens"));
  QEFF_ASSIGN_OR_RETURN(DecoderFacts facts,
                        ReadDecoderFacts(inputs, {.vocab_size = 256000,
                                                  .max_position_embeddings = 8192,
                                                  .num_key_value_heads = 4,
                                                  .head_dim = 256,
                                                  .activation = "gelu_pytorch_tanh",
                                                  .tie_word_embeddings = true,
                                                  .keys = {.activation = "hidden_activation"}}));
  config.MarkRead("hidden_act");  // files hold both; transformers follows hidden_activation
  facts.norm.weight_offset = 1;
  facts.embedding_scale = std::sqrt(static_cast<float>(facts.hidden_size));
  facts.names.attention_post_norm = "post_attention_layernorm";
  facts.names.mlp_norm = "pre_feedforward_layernorm";
  facts.names.mlp_post_norm = "post_feedforward_layernorm";
  QEFF_RETURN_IF_ERROR(ReadAttentionBias(config, facts));
  QEFF_ASSIGN_OR_RETURN(const double scalar,
                        config.FloatOr("query_pre_attn_scalar", 256, checkpoint::kPositiveFloat));
  facts.attention.scale = static_cast<float>(1 / std::sqrt(scalar));
  QEFF_ASSIGN_OR_RETURN(facts.attention.softcap, ReadSoftcap(config, "attn_logit_softcapping", 50));
  QEFF_ASSIGN_OR_RETURN(facts.logits_softcap, ReadSoftcap(config, "final_logit_softcapping", 30));
  QEFF_RETURN_IF_ERROR(ReadWindows(
      config, {.default_sliding_window = 4096, .default_sliding_window_pattern = 2}, facts));
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
