// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Nomic BERT (nomic-embed-text): BERT with rotated positions, a gated feed-forward block and no
// biases in the layers. Configs are read in the spelling of transformers and in that of the code
// that the checkpoints on the hub bring (n_embd, rotary_emb_base ...).
#include "lib/families/blocks/decoder_blocks.h"
#include "lib/families/blocks/decoder_config.h"
#include "lib/families/blocks/encoder_config.h"

namespace qeff::families {
namespace {

using checkpoint::ConfigReader;

/// Files that were saved by transformers' own class have its names.
void SetNames(const WeightTable& weights, EncoderFacts& facts, DecoderFacts& parts) {
  std::string prefix = "nomic_bert.";
  if (weights.weights.contains("bert.embeddings.word_embeddings.weight")) prefix = "bert.";
  const bool is_renamed = weights.HasEnding("layers.0.self_attn.q_proj.weight");
  facts.names.prefix = prefix;
  facts.names.pooler = "pooler.dense";
  for (size_t i = 0; i < facts.layers.size(); ++i)
    facts.layers[i].name = fmt::format("{}layers.{}.", is_renamed ? "" : "encoder.", i);
  if (is_renamed) {
    facts.names.attention_norm = "post_attention_layernorm";
    facts.names.mlp_norm = "post_mlp_layernorm";
    return;
  }
  facts.names.embedding_norm = "emb_ln";
  facts.names.attention_norm = "norm1";
  facts.names.mlp_norm = "norm2";
  parts.attention.names = {.prefix = "attn.", .fused = {.name = "Wqkv"}, .output = "out_proj"};
  parts.mlp.names = {.gate = "fc12", .up = "fc11", .down = "fc2"};
}

/// What the hub's code can do and no published model uses.
Status RefuseOtherLayers(const ConfigReader& config) {
  for (const char* key : {"prenorm", "parallel_block", "causal", "use_rms_norm", "qkv_proj_bias",
                          "mlp_fc1_bias", "mlp_fc2_bias", "rotary_emb_interleaved"}) {
    QEFF_RETURN_IF_ERROR(RefuseIfTrue(config, key, "layers of this kind"));
  }
  for (const char* key : {"rotary_emb_scale_base", "rotary_scaling_factor"}) {
    if (config.Has(key)) {
      return config.ErrorAt(ErrorCode::kUnsupported, key,
                            "positions beyond those of the training are not supported",
                            {"set it to null: texts of up to max_trained_positions need it not"});
    }
    config.MarkRead(key);
  }
  QEFF_ASSIGN_OR_RETURN(const int64_t interval, config.IntOr("moe_every_n_layers", 0));
  if (interval > 0) {
    return config.ErrorAt(ErrorCode::kUnsupported, "moe_every_n_layers",
                          "layers with experts are not supported in this family");
  }
  QEFF_ASSIGN_OR_RETURN(const double rotated, config.FloatOr("rotary_emb_fraction", 1));
  if (rotated == 1) return Status::Ok();
  return config.ErrorAt(ErrorCode::kUnsupported, "rotary_emb_fraction",
                        fmt::format("expected 1, got {}", rotated));
}

/// How the hub's code computes, not what; scales of the scores that its attention does not apply.
void MarkUnusedKeys(const ConfigReader& config) {
  for (const char* key :
       {"dense_seq_output", "fused_bias_fc", "fused_dropout_add_ln", "max_trained_positions",
        "pad_vocab_size_multiple", "parallel_block_tied_norm", "reorder_and_upcast_attn",
        "scale_attn_by_inverse_layer_idx", "scale_attn_weights", "use_xentropy"})
    config.MarkRead(key);
}

/// "swiglu" of the hub's configs is a gated block with silu.
Status ReadGate(const ConfigReader& config, DecoderFacts& parts) {
  if (!config.Has("activation_function") || config.Has("hidden_act")) return Status::Ok();
  QEFF_ASSIGN_OR_RETURN(const std::string name, config.String("activation_function"));
  if (name != "swiglu") {
    return config.ErrorAt(ErrorCode::kUnsupported, "activation_function",
                          fmt::format("expected 'swiglu', got '{}'", name));
  }
  parts.mlp.activation = "silu";
  return Status::Ok();
}

Status SetHeads(const ConfigReader& config, EncoderFacts& facts) {
  QEFF_ASSIGN_OR_RETURN(const int64_t labels, ReadNumLabels(config));
  facts.heads.sequence = {{.name = facts.names.pooler,
                           .is_of_base_model = true,
                           .size = facts.hidden_size,
                           .activation = "tanh"},
                          {.name = "classifier", .size = labels}};
  facts.heads.token = {{.name = "classifier", .size = labels}};
  MaskedLmHead& masked_lm = facts.heads.masked_lm;
  masked_lm.layers = {{.name = "cls.predictions.transform.dense",
                       .size = facts.hidden_size,
                       .activation = facts.activation,
                       .norm = "cls.predictions.transform.layer_norm"}};
  masked_lm.decoder = "cls.predictions.decoder";
  masked_lm.bias = "cls.predictions.bias";
  return Status::Ok();
}

}  // namespace

Result<ir::Graph> NomicBert(const FamilyInputs& inputs) {
  const ConfigReader& config = inputs.config;
  QEFF_RETURN_IF_ERROR(RefuseOtherLayers(config));
  MarkUnusedKeys(config);
  const bool is_hub_spelling = config.Has("n_embd");
  const auto key = [&](const char* hub, const char* own) {
    return std::string(is_hub_spelling ? hub : own);
  };
  QEFF_ASSIGN_OR_RETURN(
      EncoderFacts facts,
      ReadEncoderFacts(inputs, {.vocab_size = 30528,
                                .max_position_embeddings = 2048,
                                .activation = "silu",
                                .hidden_size_key = key("n_embd", "hidden_size"),
                                .num_hidden_layers_key = key("n_layer", "num_hidden_layers"),
                                .num_attention_heads_key = key("n_head", "num_attention_heads"),
                                .intermediate_size_key = key("n_inner", "intermediate_size"),
                                .norm_epsilon_key = key("layer_norm_epsilon", "layer_norm_eps")}));
  facts.positions = PositionRule::kNone;
  DecoderFacts parts = DecoderPartsOf(facts);
  QEFF_RETURN_IF_ERROR(ReadGate(config, parts));
  QEFF_ASSIGN_OR_RETURN(parts.attention.head_size,
                        config.IntOr("head_dim", parts.attention.head_size, checkpoint::kPositive));
  SetNames(inputs.weights, facts, parts);
  QEFF_RETURN_IF_ERROR(SetHeads(config, facts));
  QEFF_ASSIGN_OR_RETURN(
      const int64_t max_positions,
      config.IntOr(key("n_positions", "max_position_embeddings"), 2048, checkpoint::kPositive));
  const checkpoint::RopeOptions rope = {.default_theta = 1000,
                                        .theta_key = key("rotary_emb_base", "rope_theta")};
  QEFF_ASSIGN_OR_RETURN(RotaryFacts rotary,
                        ReadRotary(inputs, rope, parts.attention.head_size, max_positions));
  parts.rotaries.push_back(std::move(rotary));
  for (LayerFacts& layer : parts.layers) layer.rotary = 0;
  UseDecoderBlocks(std::move(parts), facts);
  return BuildEncoder(facts, inputs);
}

}  // namespace qeff::families
