// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// DistilBERT: BERT without kinds of segments and without a pooler; norms have a fixed epsilon.
// Files with sinusoidal positions hold them as a table like any other.
#include "lib/families/blocks/decoder_config.h"
#include "lib/families/blocks/encoder_config.h"

namespace qeff::families {
namespace {

EncoderNames Names() {
  EncoderNames names;
  names.prefix = "distilbert.";
  names.token_type_embedding = "";
  names.pooler = "";
  names.query = "attention.q_lin";
  names.key = "attention.k_lin";
  names.value = "attention.v_lin";
  names.attention_output = "attention.out_lin";
  names.attention_norm = "sa_layer_norm";
  names.up = "ffn.lin1";
  names.down = "ffn.lin2";
  names.mlp_norm = "output_layer_norm";
  return names;
}

}  // namespace

Result<ir::Graph> Distilbert(const FamilyInputs& inputs) {
  for (const char* key : {"sinusoidal_pos_embds", "tie_weights_"}) inputs.config.MarkRead(key);
  const auto key = [&](const char* shared, const char* own) {
    return FirstKey(inputs.config, {shared, own});
  };
  QEFF_ASSIGN_OR_RETURN(
      EncoderFacts facts,
      ReadEncoderFacts(inputs, {.num_hidden_layers = 6,
                                .type_vocab_size = 0,
                                .hidden_size_key = key("hidden_size", "dim"),
                                .num_hidden_layers_key = key("num_hidden_layers", "n_layers"),
                                .num_attention_heads_key = key("num_attention_heads", "n_heads"),
                                .intermediate_size_key = "hidden_dim",
                                .type_vocab_size_key = "",
                                .norm_epsilon_key = "",
                                .activation_key = "activation"}));
  facts.names = Names();
  for (size_t i = 0; i < facts.layers.size(); ++i)
    facts.layers[i].name = fmt::format("transformer.layer.{}.", i);
  QEFF_ASSIGN_OR_RETURN(const int64_t labels, ReadNumLabels(inputs.config));
  facts.heads.sequence = {
      {.name = "pre_classifier", .size = facts.hidden_size, .activation = "relu"},
      {.name = "classifier", .size = labels}};
  facts.heads.token = {{.name = "classifier", .size = labels}};
  facts.heads.masked_lm.layers = {{.name = "vocab_transform",
                                   .size = facts.hidden_size,
                                   .activation = facts.activation,
                                   .norm = "vocab_layer_norm"}};
  facts.heads.masked_lm.decoder = "vocab_projector";
  return BuildEncoder(facts, inputs);
}

}  // namespace qeff::families
