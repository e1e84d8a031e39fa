// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// BERT (MiniLM, BGE, E5, GTE and many other sentence encoders): the shared encoder. A classifier
// reads what the pooler makes of the first token.
#include "lib/families/blocks/encoder_config.h"

namespace qeff::families {

Result<ir::Graph> Bert(const FamilyInputs& inputs) {
  QEFF_ASSIGN_OR_RETURN(EncoderFacts facts, ReadEncoderFacts(inputs, {}));
  facts.names.prefix = "bert.";
  QEFF_ASSIGN_OR_RETURN(const int64_t labels, ReadNumLabels(inputs.config));
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
                       .norm = "cls.predictions.transform.LayerNorm"}};
  masked_lm.decoder = "cls.predictions.decoder";
  masked_lm.bias = "cls.predictions.bias";
  return BuildEncoder(facts, inputs);
}

}  // namespace qeff::families
