// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// ALBERT: BERT whose layers share their tensors, in groups of `inner_group_num` layers that are run
// one after the other; embeddings are always projected to the layers' size.
#include "lib/families/blocks/encoder_config.h"

namespace qeff::families {
namespace {

EncoderNames Names() {
  EncoderNames names;
  names.prefix = "albert.";
  names.embedding_projection = "encoder.embedding_hidden_mapping_in";
  names.pooler = "pooler";
  names.query = "attention.query";
  names.key = "attention.key";
  names.value = "attention.value";
  names.attention_output = "attention.dense";
  names.attention_norm = "attention.LayerNorm";
  names.up = "ffn";
  names.down = "ffn_output";
  names.mlp_norm = "full_layer_layer_norm";
  return names;
}

/// Repeats groups: layer i of the config is all inner layers of group i * groups / layers.
Status ShareLayers(const checkpoint::ConfigReader& config, EncoderFacts& facts) {
  const auto layers = static_cast<int64_t>(facts.layers.size());
  const checkpoint::IntRange range = {.minimum = 1, .maximum = 1 << 10};
  QEFF_ASSIGN_OR_RETURN(const int64_t groups, config.IntOr("num_hidden_groups", 1, range));
  QEFF_ASSIGN_OR_RETURN(const int64_t inner, config.IntOr("inner_group_num", 1, range));
  if (groups > layers) {
    return config.ErrorAt(
        ErrorCode::kInvalidInput, "num_hidden_groups",
        fmt::format("expected at most num_hidden_layers ({}), got {}", layers, groups));
  }
  facts.layers.clear();
  for (int64_t layer = 0; layer < layers; ++layer) {
    // In double, as transformers rounds it.
    const double layers_of_a_group = static_cast<double>(layers) / static_cast<double>(groups);
    const auto group = static_cast<int64_t>(static_cast<double>(layer) / layers_of_a_group);
    for (int64_t i = 0; i < inner; ++i) {
      facts.layers.push_back(
          {.name = fmt::format("encoder.albert_layer_groups.{}.albert_layers.{}.", group, i)});
    }
  }
  return Status::Ok();
}

}  // namespace

Result<ir::Graph> Albert(const FamilyInputs& inputs) {
  // Of the code that the first files were converted from.
  for (const char* key :
       {"down_scale_factor", "gap_size", "net_structure_type", "num_memory_blocks"})
    inputs.config.MarkRead(key);
  QEFF_ASSIGN_OR_RETURN(EncoderFacts facts, ReadEncoderFacts(inputs, {.vocab_size = 30000,
                                                                      .hidden_size = 4096,
                                                                      .num_attention_heads = 64,
                                                                      .intermediate_size = 16384,
                                                                      .activation = "gelu_new"}));
  facts.names = Names();
  QEFF_RETURN_IF_ERROR(ReadEmbeddingSize(inputs.config, 128, facts));
  QEFF_RETURN_IF_ERROR(ShareLayers(inputs.config, facts));
  QEFF_ASSIGN_OR_RETURN(const int64_t labels, ReadNumLabels(inputs.config));
  facts.heads.sequence = {{.name = facts.names.pooler,
                           .is_of_base_model = true,
                           .size = facts.hidden_size,
                           .activation = "tanh"},
                          {.name = "classifier", .size = labels}};
  facts.heads.token = {{.name = "classifier", .size = labels}};
  facts.heads.masked_lm.layers = {{.name = "predictions.dense",
                                   .size = facts.embedding_size,
                                   .activation = facts.activation,
                                   .norm = "predictions.LayerNorm"}};
  facts.heads.masked_lm.decoder = "predictions.decoder";
  facts.heads.masked_lm.bias = "predictions.bias";
  return BuildEncoder(facts, inputs);
}

}  // namespace qeff::families
