// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// GPT-BigCode (SantaCoder, StarCoder): GPT-2 with weights stored [out, in] and, by default, one
// head of key and value for all heads.
#include "lib/families/blocks/decoder_config.h"

namespace qeff::families {

Result<ir::Graph> GptBigcode(const FamilyInputs& inputs) {
  const checkpoint::ConfigReader& config = inputs.config;
  const DecoderDefaults defaults = {.vocab_size = 50257,
                                    .max_position_embeddings = 1024,
                                    .norm_epsilon = 1e-5,
                                    .activation = "gelu_pytorch_tanh",
                                    .tie_word_embeddings = true,
                                    .has_rotary = false,
                                    .keys = Gpt2Keys(config)};
  QEFF_ASSIGN_OR_RETURN(DecoderFacts facts, ReadDecoderFacts(inputs, defaults));
  facts.names = {.prefix = "transformer.",
                 .embedding = "wte",
                 .position_embedding = "wpe",
                 .layers = "h",
                 .attention_norm = "ln_1",
                 .mlp_norm = "ln_2",
                 .final_norm = "ln_f"};
  facts.norm.kind = NormKind::kLayer;
  QEFF_ASSIGN_OR_RETURN(facts.position_embedding.rows, ReadMaxPositions(config, defaults));
  inputs.findings.LimitTokens(facts.position_embedding.rows);

  AttentionFacts& attention = facts.attention;
  QEFF_ASSIGN_OR_RETURN(const bool is_multi_query, config.BoolOr("multi_query", true));
  if (is_multi_query) attention.num_kv_heads = 1;
  config.MarkRead("num_key_value_heads");  // follows from multi_query
  attention.names = {
      .prefix = "attn.",
      .fused = {.name = "c_attn", .groups = is_multi_query ? 1 : attention.num_heads},
      .output = "c_proj"};
  attention.query_key_value_have_bias = attention.output_has_bias = true;
  QEFF_ASSIGN_OR_RETURN(const bool is_scaled, config.BoolOr("scale_attn_weights", true));
  if (!is_scaled) attention.scale = 1;
  // How far scores are kept in float32 where the rest is in less; settings of an older runner.
  for (const char* key : {"attention_softmax_in_fp32", "scale_attention_softmax_in_fp32",
                          "inference_runner", "max_batch_size", "max_sequence_length",
                          "pad_key_length", "pre_allocate_kv_cache", "validate_runner_input"}) {
    config.MarkRead(key);
  }

  facts.mlp.names = {.up = "c_fc", .down = "c_proj"};
  facts.mlp.is_gated = false;
  facts.mlp.has_bias = true;
  QEFF_ASSIGN_OR_RETURN(facts.mlp.ffn_size, ReadFfnSize(config, "n_inner", facts.hidden_size));
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
