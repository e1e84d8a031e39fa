// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// GPT-2: the shared decoder with learned positions, layer norms and weights stored [in, out].
#include <cmath>

#include "lib/families/blocks/decoder_config.h"

namespace qeff::families {
namespace {

void SetNames(DecoderFacts& facts) {
  facts.names = {.prefix = "transformer.",
                 .embedding = "wte",
                 .position_embedding = "wpe",
                 .layers = "h",
                 .attention_norm = "ln_1",
                 .mlp_norm = "ln_2",
                 .final_norm = "ln_f"};
  facts.attention.names = {.prefix = "attn.", .fused = {.name = "c_attn"}, .output = "c_proj"};
  facts.mlp.names = {.up = "c_fc", .down = "c_proj"};
}

/// The scores of layer i are scaled by 1 / sqrt(E), by 1 / (i + 1), by both or not at all.
Status ReadScales(const checkpoint::ConfigReader& config, DecoderFacts& facts) {
  QEFF_ASSIGN_OR_RETURN(const bool is_scaled, config.BoolOr("scale_attn_weights", true));
  QEFF_ASSIGN_OR_RETURN(const bool by_layer,
                        config.BoolOr("scale_attn_by_inverse_layer_idx", false));
  const double scale =
      is_scaled ? 1 / std::sqrt(static_cast<double>(facts.attention.head_size)) : 1;
  for (size_t i = 0; i < facts.layers.size(); ++i) {
    const double divisor = by_layer ? static_cast<double>(i + 1) : 1;
    facts.layers[i].attention_scale = static_cast<float>(scale / divisor);
  }
  return Status::Ok();
}

}  // namespace

Result<ir::Graph> Gpt2(const FamilyInputs& inputs) {
  const checkpoint::ConfigReader& config = inputs.config;
  const DecoderDefaults defaults = {.vocab_size = 50257,
                                    .max_position_embeddings = 1024,
                                    .norm_epsilon = 1e-5,
                                    .activation = "gelu_new",
                                    .tie_word_embeddings = true,
                                    .has_rotary = false,
                                    .keys = Gpt2Keys(config)};
  QEFF_ASSIGN_OR_RETURN(DecoderFacts facts, ReadDecoderFacts(inputs, defaults));
  SetNames(facts);
  facts.norm.kind = NormKind::kLayer;
  QEFF_ASSIGN_OR_RETURN(facts.position_embedding.rows, ReadMaxPositions(config, defaults));
  inputs.findings.LimitTokens(facts.position_embedding.rows);
  facts.attention.layout = facts.mlp.layout = LinearLayout::kInOut;
  facts.attention.query_key_value_have_bias = facts.attention.output_has_bias = true;
  facts.mlp.has_bias = true;
  facts.mlp.is_gated = false;
  QEFF_ASSIGN_OR_RETURN(facts.mlp.ffn_size, ReadFfnSize(config, "n_inner", facts.hidden_size));
  QEFF_RETURN_IF_ERROR(ReadScales(config, facts));
  config.MarkRead("reorder_and_upcast_attn");  // the order of rounding below float32
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
