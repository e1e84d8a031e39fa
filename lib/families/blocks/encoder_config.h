// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The keys of config.json that mean the same in all families of the shared encoder. What a family
// does otherwise, it sets on the facts afterwards.
#pragma once

#include <string>

#include "lib/families/blocks/encoder.h"

namespace qeff::families {

/// Values that the config class of the family has for keys that a file leaves out, and names of
/// keys that differ. An empty name: the family has no such key, and the value is used.
struct EncoderDefaults {
  int64_t vocab_size = 30522;
  int64_t hidden_size = 768;
  int64_t num_hidden_layers = 12;
  int64_t num_attention_heads = 12;
  int64_t intermediate_size = 3072;
  int64_t max_position_embeddings = 512;
  int64_t type_vocab_size = 2;
  double norm_epsilon = 1e-12;
  std::string activation = "gelu";
  int64_t pad_token_id = 0;

  std::string hidden_size_key = "hidden_size";
  std::string num_hidden_layers_key = "num_hidden_layers";
  std::string num_attention_heads_key = "num_attention_heads";
  std::string intermediate_size_key = "intermediate_size";
  std::string type_vocab_size_key = "type_vocab_size";
  std::string norm_epsilon_key = "layer_norm_eps";
  std::string activation_key = "hidden_act";
};

/// Reads sizes, norm epsilon, activation and positions; layers are named "<layers>.<i>.". Errors:
/// kInvalidInput (missing, wrong or contradicting values); kUnsupported (an activation that is not
/// known, a decoder, positions that are not those of a table).
Result<EncoderFacts> ReadEncoderFacts(const FamilyInputs& inputs, const EncoderDefaults& defaults);

/// Reads `embedding_size`: of tables that are narrower than the layers. Errors: kInvalidInput.
Status ReadEmbeddingSize(const checkpoint::ConfigReader& config, int64_t fallback,
                         EncoderFacts& facts);

/// The heads of RoBERTa, which XLM-RoBERTa and MPNet share: dense and tanh on the first token;
/// dense, gelu and norm before the decoder. Errors: kInvalidInput.
Status ReadRobertaHeads(const checkpoint::ConfigReader& config, EncoderFacts& facts);

}  // namespace qeff::families
