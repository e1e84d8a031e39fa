// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Molmo, text path: one tensor for query, key and value, one for up and gate (in this order), ids
// of images and their parts in a second embedding tensor, norms before or after the blocks. The
// tensors of the image encoder are left alone.
#include "lib/families/blocks/decoder_config.h"

namespace qeff::families {
namespace {

using checkpoint::ConfigReader;

constexpr const char* kAddedEmbedding = "wte.new_embedding";

Status CheckKnown(const ConfigReader& config) {
  QEFF_ASSIGN_OR_RETURN(const std::string norm, config.StringOr("layer_norm_type", "rms"));
  if (norm != "rms") {
    return config.ErrorAt(ErrorCode::kUnsupported, "layer_norm_type",
                          fmt::format("unknown norm '{}'", norm), {"known: rms"});
  }
  config.MarkRead("use_position_ids");  // how the caller finds positions: ours are always given
  return RefuseIfTrue(config, "weight_tying", "a head tied to one of two embedding tensors");
}

Status ReadEmbedding(const FamilyInputs& inputs, DecoderFacts& facts) {
  const ConfigReader& config = inputs.config;
  QEFF_ASSIGN_OR_RETURN(facts.vocab_size,
                        config.IntOr("embedding_size", facts.vocab_size, checkpoint::kPositive));
  facts.names.embedding = "wte.embedding";
  facts.names.embedding_parts = {"wte.embedding", kAddedEmbedding};
  // The published code has 128 rows for these ids, whatever the config says: the tensor tells.
  const auto added = inputs.weights.weights.find(facts.names.prefix + kAddedEmbedding);
  const bool is_matrix = added != inputs.weights.weights.end() && added->second->dims().size() == 2;
  QEFF_ASSIGN_OR_RETURN(
      facts.added_vocab_size,
      config.IntOr("additional_vocab_size", is_matrix ? added->second->dims()[0] : 128,
                   checkpoint::kPositive));
  return Status::Ok();
}

Status ReadMlp(const ConfigReader& config, MlpFacts& facts) {
  if (facts.ffn_size % 2 != 0) {
    return config.ErrorAt(
        ErrorCode::kInvalidInput, "intermediate_size",
        fmt::format("counts the rows of up and gate: expected an even number, got {}",
                    facts.ffn_size));
  }
  facts.ffn_size /= 2;
  facts.activation = "silu";
  facts.names = {.prefix = "", .gate_up = "ff_proj", .down = "ff_out"};
  facts.up_is_first = true;
  return Status::Ok();
}

Status ReadAttention(const ConfigReader& config, AttentionFacts& facts) {
  facts.names.prefix = "";
  facts.names.fused.name = "att_proj";
  facts.names.output = "attn_out";
  QEFF_ASSIGN_OR_RETURN(facts.query_key_value_have_bias, config.BoolOr("qkv_bias", false));
  QEFF_ASSIGN_OR_RETURN(const bool has_norm, config.BoolOr("attention_layer_norm", false));
  if (has_norm) facts.query_key_norm = QueryKeyNorm::kAllHeads;
  QEFF_ASSIGN_OR_RETURN(const auto clip,
                        config.OptionalFloat("clip_qkv", checkpoint::kPositiveFloat));
  if (clip && has_norm) {
    return config.ErrorAt(ErrorCode::kUnsupported, "clip_qkv",
                          "clipping before the norms of query and key is not supported");
  }
  facts.clip = static_cast<float>(clip.value_or(0));
  return Status::Ok();
}

}  // namespace

Result<ir::Graph> Molmo(const FamilyInputs& inputs) {
  const ConfigReader& config = inputs.config;
  QEFF_RETURN_IF_ERROR(CheckKnown(config));
  QEFF_ASSIGN_OR_RETURN(
      DecoderFacts facts,
      ReadDecoderFacts(
          inputs, {.vocab_size = 50304,
                   .max_position_embeddings = 2048,
                   .norm_epsilon = 1e-5,
                   .keys = {.head_dim = "", .norm_epsilon = "layer_norm_eps", .activation = ""}}));
  facts.head_is_tied = false;  // weight_tying decides, whatever tie_word_embeddings says
  facts.names.prefix = "model.transformer.";
  facts.names.layers = "blocks";
  facts.names.final_norm = "ln_f";
  facts.names.head = "model.transformer.ff_out";
  QEFF_ASSIGN_OR_RETURN(const bool norm_is_after, config.BoolOr("norm_after", false));
  facts.names.attention_norm = norm_is_after ? "" : "attn_norm";
  facts.names.attention_post_norm = norm_is_after ? "attn_norm" : "";
  facts.names.mlp_norm = norm_is_after ? "" : "ff_norm";
  facts.names.mlp_post_norm = norm_is_after ? "ff_norm" : "";
  QEFF_RETURN_IF_ERROR(ReadEmbedding(inputs, facts));
  QEFF_RETURN_IF_ERROR(ReadAttention(config, facts.attention));
  QEFF_RETURN_IF_ERROR(ReadMlp(config, facts.mlp));
  facts.prepare = [&inputs](const LayerContext& context, ir::Value* x) {
    for (const auto& [name, weight] : inputs.weights.weights) {
      if (name.starts_with("model.vision_backbone.")) context.builder.Ignore(name);
    }
    return x;
  };
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
