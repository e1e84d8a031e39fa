// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/families/blocks/encoder_config.h"

#include "lib/families/blocks/decoder_config.h"

namespace qeff::families {
namespace {

using checkpoint::ConfigReader;
using checkpoint::IntRange;

constexpr IntRange kChannels{.minimum = 1, .maximum = 1 << 20};
constexpr IntRange kHeads{.minimum = 1, .maximum = 1 << 16};

/// What transformers computed in older versions only, and nobody trained much with.
Status RefuseOtherPositions(const ConfigReader& config) {
  QEFF_ASSIGN_OR_RETURN(const std::string kind,
                        config.StringOr("position_embedding_type", "absolute"));
  if (kind == "absolute") return Status::Ok();
  return config.ErrorAt(ErrorCode::kUnsupported, "position_embedding_type",
                        fmt::format("expected 'absolute', got '{}'", kind),
                        {"transformers 5 does not compute other kinds either"});
}

}  // namespace

Result<EncoderFacts> ReadEncoderFacts(const FamilyInputs& inputs, const EncoderDefaults& defaults) {
  const ConfigReader& config = inputs.config;
  EncoderFacts facts;
  const auto size = [&](const std::string& key, int64_t fallback, const IntRange& range) {
    return key.empty() ? Result<int64_t>(fallback) : config.IntOr(key, fallback, range);
  };
  QEFF_RETURN_IF_ERROR(RefuseIfTrue(config, "is_decoder", "attention to earlier tokens only"));
  QEFF_RETURN_IF_ERROR(RefuseOtherPositions(config));
  QEFF_ASSIGN_OR_RETURN(facts.vocab_size,
                        size("vocab_size", defaults.vocab_size, checkpoint::kPositive));
  QEFF_ASSIGN_OR_RETURN(facts.hidden_size,
                        size(defaults.hidden_size_key, defaults.hidden_size, kChannels));
  facts.embedding_size = facts.hidden_size;
  QEFF_ASSIGN_OR_RETURN(facts.num_heads, size(defaults.num_attention_heads_key,
                                              defaults.num_attention_heads, kHeads));
  if (facts.hidden_size % facts.num_heads != 0) {
    return config.ErrorAt(
        ErrorCode::kInvalidInput, defaults.hidden_size_key,
        fmt::format("expected a multiple of {} ({}), got {}", defaults.num_attention_heads_key,
                    facts.num_heads, facts.hidden_size));
  }
  QEFF_ASSIGN_OR_RETURN(
      facts.ffn_size, size(defaults.intermediate_size_key, defaults.intermediate_size, kChannels));
  QEFF_ASSIGN_OR_RETURN(facts.type_vocab_size,
                        size(defaults.type_vocab_size_key, defaults.type_vocab_size,
                             IntRange{.minimum = 0, .maximum = 1 << 16}));
  QEFF_ASSIGN_OR_RETURN(
      facts.position_rows,
      size("max_position_embeddings", defaults.max_position_embeddings, checkpoint::kPositive));
  QEFF_ASSIGN_OR_RETURN(facts.padding_id,
                        size("pad_token_id", defaults.pad_token_id, checkpoint::kNotNegative));
  facts.norm = {.kind = NormKind::kLayer, .epsilon = static_cast<float>(defaults.norm_epsilon)};
  if (!defaults.norm_epsilon_key.empty()) {
    QEFF_ASSIGN_OR_RETURN(const double epsilon,
                          config.FloatOr(defaults.norm_epsilon_key, defaults.norm_epsilon));
    facts.norm.epsilon = static_cast<float>(epsilon);
  }
  QEFF_ASSIGN_OR_RETURN(facts.activation,
                        ReadActivation(config, defaults.activation_key, defaults.activation));
  QEFF_ASSIGN_OR_RETURN(const int64_t layers,
                        size(defaults.num_hidden_layers_key, defaults.num_hidden_layers,
                             IntRange{.minimum = 0, .maximum = 1 << 14}));
  for (int64_t i = 0; i < layers; ++i)
    facts.layers.push_back({.name = fmt::format("encoder.layer.{}.", i)});
  QEFF_ASSIGN_OR_RETURN(facts.heads.masked_lm.decoder_is_tied,
                        config.BoolOr("tie_word_embeddings", true));
  return facts;
}

Status ReadEmbeddingSize(const ConfigReader& config, int64_t fallback, EncoderFacts& facts) {
  QEFF_ASSIGN_OR_RETURN(facts.embedding_size, config.IntOr("embedding_size", fallback, kChannels));
  return Status::Ok();
}

Status ReadRobertaHeads(const ConfigReader& config, EncoderFacts& facts) {
  QEFF_ASSIGN_OR_RETURN(const int64_t labels, ReadNumLabels(config));
  const int64_t size = facts.hidden_size;
  facts.heads.sequence = {{.name = "classifier.dense", .size = size, .activation = "tanh"},
                          {.name = "classifier.out_proj", .size = labels}};
  facts.heads.token = {{.name = "classifier", .size = labels}};
  MaskedLmHead& masked_lm = facts.heads.masked_lm;
  masked_lm.layers = {
      {.name = "lm_head.dense", .size = size, .activation = "gelu", .norm = "lm_head.layer_norm"}};
  masked_lm.decoder = "lm_head.decoder";
  masked_lm.bias = "lm_head.bias";
  return Status::Ok();
}

}  // namespace qeff::families
