// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Jina embeddings v3: XLM-RoBERTa with rotated positions instead of learned ones. Adapters for
// single tasks are not part of it.
#include "lib/families/blocks/decoder_blocks.h"
#include "lib/families/blocks/decoder_config.h"
#include "lib/families/blocks/encoder_config.h"

namespace qeff::families {
namespace {

/// Files that were saved by transformers' own class have its names.
void SetNames(const WeightTable& weights, EncoderFacts& facts, DecoderFacts& parts) {
  facts.names.prefix = "roberta.";
  const bool is_renamed = weights.HasEnding("layers.0.self_attn.q_proj.weight");
  for (size_t i = 0; i < facts.layers.size(); ++i)
    facts.layers[i].name = fmt::format("{}layers.{}.", is_renamed ? "" : "encoder.", i);
  parts.mlp.names = {.up = "fc1", .down = "fc2"};
  if (is_renamed) {
    facts.names.attention_norm = "post_attention_layernorm";
    facts.names.mlp_norm = "post_mlp_layernorm";
    return;
  }
  facts.names.embedding_norm = "emb_ln";
  facts.names.attention_norm = "norm1";
  facts.names.mlp_norm = "norm2";
  parts.attention.names = {.prefix = "mixer.", .fused = {.name = "Wqkv"}, .output = "out_proj"};
}

}  // namespace

Result<ir::Graph> JinaEmbeddingsV3(const FamilyInputs& inputs) {
  const checkpoint::ConfigReader& config = inputs.config;
  if (config.Has("lora_adaptations")) {
    return config.ErrorAt(ErrorCode::kUnsupported, "lora_adaptations",
                          "adapters for single tasks are not supported",
                          {"use a checkpoint that they are merged into"});
  }
  QEFF_ASSIGN_OR_RETURN(EncoderFacts facts,
                        ReadEncoderFacts(inputs, {.vocab_size = 250002,
                                                  .hidden_size = 1024,
                                                  .num_hidden_layers = 24,
                                                  .num_attention_heads = 16,
                                                  .intermediate_size = 4096,
                                                  .max_position_embeddings = 8194,
                                                  .type_vocab_size = 1,
                                                  .norm_epsilon = 1e-5,
                                                  .pad_token_id = 1}));
  facts.positions = PositionRule::kNone;
  DecoderFacts parts = DecoderPartsOf(facts);
  parts.mlp.is_gated = false;
  parts.mlp.has_bias = true;
  parts.attention.query_key_value_have_bias = parts.attention.output_has_bias = true;
  QEFF_ASSIGN_OR_RETURN(parts.attention.head_size,
                        config.IntOr("head_dim", parts.attention.head_size, checkpoint::kPositive));
  SetNames(inputs.weights, facts, parts);
  QEFF_RETURN_IF_ERROR(ReadRobertaHeads(config, facts));
  QEFF_ASSIGN_OR_RETURN(
      RotaryFacts rotary,
      ReadRotary(inputs, {.default_theta = 20000}, parts.attention.head_size, facts.position_rows));
  parts.rotaries.push_back(std::move(rotary));
  for (LayerFacts& layer : parts.layers) layer.rotary = 0;
  UseDecoderBlocks(std::move(parts), facts);
  return BuildEncoder(facts, inputs);
}

}  // namespace qeff::families
