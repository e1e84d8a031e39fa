// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// BLOOM: ALiBi, a norm of the embeddings, biases everywhere.
#include "lib/families/blocks/decoder_config.h"

namespace qeff::families {
namespace {

/// Sums by parts of the training run. transformers leaves out the biases when it takes more than
/// one part.
Status CheckSums(const checkpoint::ConfigReader& config) {
  QEFF_ASSIGN_OR_RETURN(const bool sums_parts, config.BoolOr("slow_but_exact", false));
  QEFF_ASSIGN_OR_RETURN(const int64_t parts,
                        config.IntOr("pretraining_tp", 1, checkpoint::kPositive));
  if (!sums_parts || parts == 1) return Status::Ok();
  return config.ErrorAt(ErrorCode::kUnsupported, "slow_but_exact",
                        fmt::format("true is not supported with {} parts (pretraining_tp)", parts),
                        {"false gives the same sums in another order"});
}

}  // namespace

Result<ir::Graph> Bloom(const FamilyInputs& inputs) {
  const checkpoint::ConfigReader& config = inputs.config;
  const DecoderDefaults defaults = {
      .vocab_size = 250880,
      .norm_epsilon = 1e-5,
      .tie_word_embeddings = true,
      .has_rotary = false,
      .keys = {.hidden_size = FirstKey(config, {"n_embed", "hidden_size"}),
               .intermediate_size = "",
               .num_hidden_layers = FirstKey(config, {"num_hidden_layers", "n_layer"}),
               .num_attention_heads = FirstKey(config, {"num_attention_heads", "n_head"}),
               .num_key_value_heads = "",
               .head_dim = "",
               .norm_epsilon = "layer_norm_epsilon",
               .activation = ""}};
  QEFF_ASSIGN_OR_RETURN(DecoderFacts facts, ReadDecoderFacts(inputs, defaults));
  facts.names = {.prefix = "transformer.",
                 .embedding = "word_embeddings",
                 .embedding_norm = "word_embeddings_layernorm",
                 .layers = "h",
                 .final_norm = "ln_f"};
  facts.norm.kind = NormKind::kLayer;
  QEFF_ASSIGN_OR_RETURN(facts.residual_is_normalized,
                        config.BoolOr("apply_residual_connection_post_layernorm", false));

  AttentionFacts& attention = facts.attention;
  attention.names = {.prefix = "self_attention.",
                     .fused = {.name = "query_key_value", .groups = attention.num_heads},
                     .output = "dense"};
  attention.query_key_value_have_bias = attention.output_has_bias = true;
  attention.alibi_slopes = AlibiSlopes(attention.num_heads);
  QEFF_RETURN_IF_ERROR(CheckSums(config));
  for (const char* key :
       {"attention_softmax_in_fp32", "bias_dropout_fusion", "masked_softmax_fusion", "offset_alibi",
        "skip_bias_add", "skip_bias_add_qkv", "n_inner", "seq_length"}) {
    config.MarkRead(key);  // settings of the training code that transformers does not read
  }

  facts.mlp.names = {.up = "dense_h_to_4h", .down = "dense_4h_to_h"};
  facts.mlp.ffn_size = 4 * facts.hidden_size;
  facts.mlp.activation = "gelu_pytorch_tanh";
  facts.mlp.is_gated = false;
  facts.mlp.has_bias = true;
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
