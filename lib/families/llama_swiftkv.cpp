// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Llama with SwiftKV: layers from num_key_value_layers on project keys and values from what the
// layer before them gave, normalized once for all, and have projections of their own. Prompt tokens
// but the last need only the first layers to fill the whole cache.
#include "lib/families/blocks/decoder_config.h"

namespace qeff::families {
namespace {

constexpr const char* kSource = "swiftkv source";  // in LayerContext::shared

ir::Value* NormalizeSource(const LayerContext& context, ir::Value* x) {
  context.shared[kSource] = AddNorm(context.builder, "/model/norm_swiftkv", context.facts.norm,
                                    context.prefix + "norm_swiftkv", x, context.facts.hidden_size);
  return x;
}

ir::Value* AttendToSource(const LayerContext& context, ir::Value* x) {
  AttentionFacts facts = context.facts.attention;
  facts.names.query = "q_proj_swiftkv";
  facts.names.key = "k_proj_swiftkv";
  facts.names.value = "v_proj_swiftkv";
  return AddAttention(context, facts, x, context.shared.at(kSource));
}

}  // namespace

Result<ir::Graph> LlamaSwiftKv(const FamilyInputs& inputs) {
  const checkpoint::ConfigReader& config = inputs.config;
  QEFF_ASSIGN_OR_RETURN(
      DecoderFacts facts,
      ReadDecoderFacts(inputs, {.vocab_size = 32000, .max_position_embeddings = 2048}));
  QEFF_RETURN_IF_ERROR(ReadAttentionBias(config, facts));
  QEFF_ASSIGN_OR_RETURN(facts.mlp.has_bias, config.BoolOr("mlp_bias", false));
  QEFF_ASSIGN_OR_RETURN(const bool is_on, config.BoolOr("swiftkv", true));
  if (!is_on) {
    return config.ErrorAt(ErrorCode::kUnsupported, "swiftkv",
                          "a SwiftKV model that is switched off is not supported");
  }
  QEFF_ASSIGN_OR_RETURN(const int64_t group,
                        config.IntOr("key_value_group_size", 1, checkpoint::kPositive));
  if (group != 1) {
    return config.ErrorAt(
        ErrorCode::kUnsupported, "key_value_group_size",
        fmt::format("layers that share keys and values are not supported, got {}", group));
  }
  const auto layers = static_cast<int64_t>(facts.layers.size());
  QEFF_ASSIGN_OR_RETURN(const int64_t own, config.IntOr("num_key_value_layers", layers,
                                                        {.minimum = 1, .maximum = layers}));
  facts.layers[static_cast<size_t>(own - 1)].finish = NormalizeSource;
  for (auto i = static_cast<size_t>(own); i < facts.layers.size(); ++i)
    facts.layers[i].attention = AttendToSource;
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
