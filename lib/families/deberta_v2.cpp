// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// DeBERTa v2 and v3 (prompt guards, zero-shot classifiers, rerankers): BERT whose scores also
// compare contents with distances (blocks/disentangled_attention.h), padding set to zero after the
// embedding, and, in large v2 models, a convolution beside the first layer.
#include <algorithm>

#include "lib/families/blocks/decoder_config.h"
#include "lib/families/blocks/disentangled_attention.h"
#include "lib/families/blocks/encoder_config.h"

namespace qeff::families {
namespace {

using checkpoint::ConfigReader;

/// Words of a list, or of one string with bars between them, as files of the hub have it.
Result<std::vector<std::string>> ReadWords(const ConfigReader& config, std::string_view key) {
  QEFF_ASSIGN_OR_RETURN(const std::vector<std::string> parts, config.Strings(key));
  std::vector<std::string> words;
  for (const std::string& part : parts) {
    std::string word;
    for (const char c : part + "|") {
      if (c == '|') {
        if (!word.empty()) words.push_back(word);
        word.clear();
      } else if (c != ' ') {
        word += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
      }
    }
  }
  return words;
}

Status CheckWords(const ConfigReader& config, std::string_view key,
                  const std::vector<std::string>& words, const std::vector<std::string>& known) {
  for (const std::string& word : words) {
    if (std::find(known.begin(), known.end(), word) == known.end()) {
      return config.ErrorAt(ErrorCode::kUnsupported, key, fmt::format("unknown kind '{}'", word),
                            {fmt::format("known: {}", fmt::join(known, ", "))});
    }
  }
  return Status::Ok();
}

Status ReadDistances(const ConfigReader& config, const EncoderFacts& facts,
                     DisentangledFacts& attention) {
  constexpr checkpoint::IntRange kDistance{.minimum = -1, .maximum = 1 << 16};
  QEFF_ASSIGN_OR_RETURN(const bool is_relative, config.BoolOr("relative_attention", false));
  QEFF_ASSIGN_OR_RETURN(const std::vector<std::string> kinds, ReadWords(config, "pos_att_type"));
  QEFF_RETURN_IF_ERROR(CheckWords(config, "pos_att_type", kinds, {"c2p", "p2c"}));
  const auto has = [&](const char* kind) {
    return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
  };
  attention.kinds = (has("c2p") ? 1 : 0) + (has("p2c") ? 1 : 0);
  QEFF_ASSIGN_OR_RETURN(attention.shares_projections, config.BoolOr("share_att_key", false));
  QEFF_ASSIGN_OR_RETURN(const std::vector<std::string> norms, ReadWords(config, "norm_rel_ebd"));
  QEFF_RETURN_IF_ERROR(CheckWords(config, "norm_rel_ebd", norms, {"none", "layer_norm"}));
  attention.table_is_normalized =
      std::find(norms.begin(), norms.end(), "layer_norm") != norms.end();
  QEFF_ASSIGN_OR_RETURN(int64_t max_distance,
                        config.IntOr("max_relative_positions", -1, kDistance));
  QEFF_ASSIGN_OR_RETURN(const int64_t buckets, config.IntOr("position_buckets", -1, kDistance));
  attention.is_relative = is_relative;
  if (!is_relative) return Status::Ok();
  attention.content_to_position = has("c2p");
  attention.position_to_content = has("p2c");
  if (max_distance < 1) max_distance = facts.position_rows;
  // With an odd number the last row would begin far beyond max_distance.
  if (buckets > 0 && (buckets < 4 || buckets % 2 != 0 || max_distance - 1 <= buckets / 2)) {
    return config.ErrorAt(
        ErrorCode::kInvalidInput, "position_buckets",
        fmt::format("expected an even number of 4 or more whose half is less than the largest "
                    "distance ({}), got {}",
                    max_distance - 1, buckets));
  }
  attention.span = buckets > 0 ? buckets : max_distance;
  attention.rows =
      DisentangledDistanceRows(attention.span, std::max<int64_t>(buckets, 0), max_distance);
  return Status::Ok();
}

Result<std::optional<TokenConvolution>> ReadConvolution(const ConfigReader& config,
                                                        const EncoderFacts& facts) {
  constexpr checkpoint::IntRange kWidth{.minimum = 0, .maximum = 255};
  TokenConvolution convolution;
  QEFF_ASSIGN_OR_RETURN(convolution.width, config.IntOr("conv_kernel_size", 0, kWidth));
  QEFF_ASSIGN_OR_RETURN(convolution.groups, config.IntOr("conv_groups", 1, checkpoint::kPositive));
  QEFF_ASSIGN_OR_RETURN(convolution.activation, ReadActivation(config, "conv_act", "tanh"));
  if (convolution.width == 0) return std::optional<TokenConvolution>();
  if (convolution.width % 2 == 0) {
    return config.ErrorAt(ErrorCode::kUnsupported, "conv_kernel_size",
                          fmt::format("expected an odd number, got {}", convolution.width));
  }
  if (facts.hidden_size % convolution.groups != 0) {
    return config.ErrorAt(ErrorCode::kInvalidInput, "conv_groups",
                          fmt::format("expected a divisor of hidden_size ({}), got {}",
                                      facts.hidden_size, convolution.groups));
  }
  return std::optional<TokenConvolution>(convolution);
}

Status ReadHeads(const ConfigReader& config, EncoderFacts& facts) {
  QEFF_ASSIGN_OR_RETURN(const int64_t labels, ReadNumLabels(config));
  QEFF_ASSIGN_OR_RETURN(const std::string activation,
                        ReadActivation(config, "pooler_hidden_act", "gelu"));
  QEFF_ASSIGN_OR_RETURN(const int64_t pooled, config.IntOr("pooler_hidden_size", facts.hidden_size,
                                                           checkpoint::kPositive));
  if (pooled != facts.hidden_size) {
    return config.ErrorAt(
        ErrorCode::kInvalidInput, "pooler_hidden_size",
        fmt::format("expected hidden_size ({}), got {}", facts.hidden_size, pooled));
  }
  facts.heads.sequence = {{.name = "pooler.dense", .size = pooled, .activation = activation},
                          {.name = "classifier", .size = labels}};
  facts.heads.token = {{.name = "classifier", .size = labels}};
  MaskedLmHead& masked_lm = facts.heads.masked_lm;
  masked_lm.layers = {{.name = "cls.predictions.transform.dense",
                       .size = facts.embedding_size,
                       .activation = facts.activation,
                       .norm = "cls.predictions.transform.LayerNorm"}};
  masked_lm.decoder = "cls.predictions.decoder";
  masked_lm.bias = "cls.predictions.bias";
  return Status::Ok();
}

/// The head of the paper's own code, which transformers 5 cannot make either.
Status RefuseNewerHead(const FamilyInputs& inputs) {
  QEFF_ASSIGN_OR_RETURN(const bool is_legacy, inputs.config.BoolOr("legacy", true));
  if (is_legacy || inputs.task != Task::kMaskedLm) return Status::Ok();
  return inputs.config.ErrorAt(ErrorCode::kUnsupported, "legacy",
                               "heads for masked tokens that are not legacy are not supported");
}

/// The embedding table may be narrower than the layers.
Status ReadEmbedding(const ConfigReader& config, EncoderFacts& facts) {
  QEFF_ASSIGN_OR_RETURN(facts.embedding_size, config.IntOr("embedding_size", facts.hidden_size,
                                                           {.minimum = 1, .maximum = 1 << 20}));
  if (facts.embedding_size != facts.hidden_size) {
    facts.names.embedding_projection = "embeddings.embed_proj";
    facts.projection_comes_first = true;
  }
  QEFF_ASSIGN_OR_RETURN(const bool has_positions, config.BoolOr("position_biased_input", true));
  if (!has_positions) facts.positions = PositionRule::kNone;
  QEFF_ASSIGN_OR_RETURN(const auto head_size, config.OptionalInt("attention_head_size"));
  if (!head_size || *head_size * facts.num_heads == facts.hidden_size) return Status::Ok();
  return config.ErrorAt(
      ErrorCode::kUnsupported, "attention_head_size",
      fmt::format("expected {}, got {}", facts.hidden_size / facts.num_heads, *head_size));
}

}  // namespace

Result<ir::Graph> DebertaV2(const FamilyInputs& inputs) {
  const ConfigReader& config = inputs.config;
  QEFF_ASSIGN_OR_RETURN(EncoderFacts facts, ReadEncoderFacts(inputs, {.vocab_size = 128100,
                                                                      .hidden_size = 1536,
                                                                      .num_hidden_layers = 24,
                                                                      .num_attention_heads = 24,
                                                                      .intermediate_size = 6144,
                                                                      .type_vocab_size = 0,
                                                                      .norm_epsilon = 1e-7}));
  facts.names.prefix = "deberta.";
  facts.names.pooler = "";
  facts.names.query = "attention.self.query_proj";
  facts.names.key = "attention.self.key_proj";
  facts.names.value = "attention.self.value_proj";
  QEFF_RETURN_IF_ERROR(ReadEmbedding(config, facts));
  DisentangledFacts attention;
  QEFF_RETURN_IF_ERROR(ReadDistances(config, facts, attention));
  QEFF_ASSIGN_OR_RETURN(const auto convolution, ReadConvolution(config, facts));
  QEFF_RETURN_IF_ERROR(ReadHeads(config, facts));
  QEFF_RETURN_IF_ERROR(RefuseNewerHead(inputs));
  const bool has_positions = facts.positions != PositionRule::kNone;
  facts.prepare = [attention, has_positions](const EncoderContext& context, ir::Value* x) {
    if (!has_positions) context.builder.IgnorePrefix(context.prefix + "embeddings.position_emb");
    x = context.builder.Onnx("/embeddings", "Mul",
                             {x, AddTokenWeights(context.builder, context.attention_mask)});
    PrepareDisentangledAttention(context, attention);
    context.shared["embedded"] = x;
    return x;
  };
  for (EncoderLayer& layer : facts.layers) {
    layer.attention = [attention](const EncoderContext& context, ir::Value* x) {
      return AddDisentangledAttention(context, attention, x);
    };
  }
  if (convolution && !facts.layers.empty()) {
    facts.layers[0].finish = [convolution](const EncoderContext& context, ir::Value* x) {
      return AddTokenConvolution(context, *convolution, context.shared.at("embedded"), x);
    };
  }
  return BuildEncoder(facts, inputs);
}

}  // namespace qeff::families
