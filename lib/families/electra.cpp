// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// ELECTRA: BERT with narrower embeddings, projected where they are narrower, and without a pooler.
// Its heads use gelu whatever the layers have.
#include "lib/families/blocks/encoder_config.h"

namespace qeff::families {

Result<ir::Graph> Electra(const FamilyInputs& inputs) {
  QEFF_ASSIGN_OR_RETURN(EncoderFacts facts, ReadEncoderFacts(inputs, {.hidden_size = 256,
                                                                      .num_attention_heads = 4,
                                                                      .intermediate_size = 1024}));
  facts.names.prefix = "electra.";
  facts.names.pooler = "";
  QEFF_RETURN_IF_ERROR(ReadEmbeddingSize(inputs.config, 128, facts));
  if (facts.embedding_size != facts.hidden_size)
    facts.names.embedding_projection = "embeddings_project";
  QEFF_ASSIGN_OR_RETURN(const int64_t labels, ReadNumLabels(inputs.config));
  facts.heads.sequence = {
      {.name = "classifier.dense", .size = facts.hidden_size, .activation = "gelu"},
      {.name = "classifier.out_proj", .size = labels}};
  facts.heads.token = {{.name = "classifier", .size = labels}};
  facts.heads.masked_lm.layers = {{.name = "generator_predictions.dense",
                                   .size = facts.embedding_size,
                                   .activation = "gelu",
                                   .norm = "generator_predictions.LayerNorm"}};
  facts.heads.masked_lm.decoder = "generator_lm_head";
  return BuildEncoder(facts, inputs);
}

}  // namespace qeff::families
