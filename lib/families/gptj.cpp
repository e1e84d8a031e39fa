// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// GPT-J: attention and feed-forward block read the same norm and add to the same stream; the first
// rotary_dim channels of a head are rotated in interleaved pairs; the head has a bias.
#include "lib/families/blocks/decoder_config.h"

namespace qeff::families {

Result<ir::Graph> Gptj(const FamilyInputs& inputs) {
  const checkpoint::ConfigReader& config = inputs.config;
  const DecoderDefaults defaults = {.vocab_size = 50400,
                                    .max_position_embeddings = 2048,
                                    .norm_epsilon = 1e-5,
                                    .activation = "gelu_new",
                                    .has_rotary = false,
                                    .keys = Gpt2Keys(config)};
  QEFF_ASSIGN_OR_RETURN(DecoderFacts facts, ReadDecoderFacts(inputs, defaults));
  facts.names = {.prefix = "transformer.",
                 .embedding = "wte",
                 .layers = "h",
                 .attention_norm = "ln_1",
                 .mlp_norm = "",
                 .final_norm = "ln_f"};
  facts.norm.kind = NormKind::kLayer;
  facts.is_parallel = true;
  facts.head_has_bias = true;

  facts.attention.names = {.prefix = "attn.", .output = "out_proj"};
  facts.attention.rotation_is_interleaved = true;
  QEFF_RETURN_IF_ERROR(ReadRotaryDim(inputs, defaults, 64, facts));
  config.MarkRead("rotary");              // always, in transformers
  config.MarkRead("scale_attn_weights");  // GPT-2's, of no effect here

  facts.mlp.names = {.up = "fc_in", .down = "fc_out"};
  facts.mlp.is_gated = false;
  facts.mlp.has_bias = true;
  QEFF_ASSIGN_OR_RETURN(facts.mlp.ffn_size, ReadFfnSize(config, "n_inner", facts.hidden_size));
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
