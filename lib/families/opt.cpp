// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// OPT: learned positions, stored with two rows before the first; norms after the residual and
// embeddings of another width in the 350M model.
#include "lib/families/blocks/decoder_config.h"

namespace qeff::families {
namespace {

Status ReadNorms(const checkpoint::ConfigReader& config, DecoderFacts& facts) {
  facts.norm.kind = NormKind::kLayer;
  QEFF_ASSIGN_OR_RETURN(facts.norm.has_weight,
                        config.BoolOr("layer_norm_elementwise_affine", true));
  QEFF_ASSIGN_OR_RETURN(const bool is_before, config.BoolOr("do_layer_norm_before", true));
  QEFF_ASSIGN_OR_RETURN(const bool final_is_removed,
                        config.BoolOr("_remove_final_layer_norm", false));
  facts.norm_follows_residual = !is_before;
  if (!is_before || final_is_removed) facts.names.final_norm.clear();
  return Status::Ok();
}

}  // namespace

Result<ir::Graph> Opt(const FamilyInputs& inputs) {
  const checkpoint::ConfigReader& config = inputs.config;
  const DecoderDefaults defaults = {.vocab_size = 50272,
                                    .max_position_embeddings = 2048,
                                    .norm_epsilon = 1e-5,  // of torch; no key
                                    .activation = "relu",
                                    .tie_word_embeddings = true,
                                    .has_rotary = false,
                                    .keys = {.intermediate_size = "ffn_dim",
                                             .num_key_value_heads = "",
                                             .head_dim = "",
                                             .norm_epsilon = "",
                                             .activation = "activation_function"}};
  QEFF_ASSIGN_OR_RETURN(DecoderFacts facts, ReadDecoderFacts(inputs, defaults));
  facts.names = {.prefix = "model.decoder.",
                 .attention_norm = "self_attn_layer_norm",
                 .mlp_norm = "final_layer_norm",
                 .final_norm = "final_layer_norm"};
  QEFF_RETURN_IF_ERROR(ReadNorms(config, facts));
  QEFF_ASSIGN_OR_RETURN(const int64_t max_positions, ReadMaxPositions(config, defaults));
  constexpr int64_t kRowsBefore = 2;
  facts.position_embedding = {
      .rows = max_positions + kRowsBefore, .offset = kRowsBefore, .counts_tokens = true};
  inputs.findings.LimitTokens(max_positions);
  QEFF_ASSIGN_OR_RETURN(
      facts.word_embedding_size,
      config.IntOr("word_embed_proj_dim", facts.hidden_size, checkpoint::kPositive));

  QEFF_ASSIGN_OR_RETURN(const bool has_bias, config.BoolOr("enable_bias", true));
  facts.attention.names.output = "out_proj";
  facts.attention.query_key_value_have_bias = facts.attention.output_has_bias = has_bias;
  facts.mlp.names = {.prefix = "", .up = "fc1", .down = "fc2"};
  facts.mlp.is_gated = false;
  facts.mlp.has_bias = has_bias;
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
