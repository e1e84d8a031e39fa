// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// CodeGen: GPT-J with query, value and key in one tensor, in four groups (once for four
// accelerators).
#include "lib/families/blocks/decoder_config.h"

namespace qeff::families {

Result<ir::Graph> Codegen(const FamilyInputs& inputs) {
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

  constexpr int64_t kGroups = 4;
  if (facts.attention.num_heads % kGroups != 0) {
    return config.ErrorAt(
        ErrorCode::kInvalidInput, defaults.keys.num_attention_heads,
        fmt::format("expected a multiple of {}, got {}", kGroups, facts.attention.num_heads),
        {"the tensor of query, value and key has four groups of heads"});
  }
  facts.attention.names = {.prefix = "attn.",
                           .fused = {.name = "qkv_proj", .groups = kGroups, .order = "qvk"},
                           .output = "out_proj"};
  facts.attention.rotation_is_interleaved = true;
  QEFF_RETURN_IF_ERROR(ReadRotaryDim(inputs, defaults, 64, facts));
  config.MarkRead("scale_attn_weights");  // GPT-2's, of no effect here

  facts.mlp.names = {.up = "fc_in", .down = "fc_out"};
  facts.mlp.is_gated = false;
  facts.mlp.has_bias = true;
  QEFF_ASSIGN_OR_RETURN(facts.mlp.ffn_size, ReadFfnSize(config, "n_inner", facts.hidden_size));
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
