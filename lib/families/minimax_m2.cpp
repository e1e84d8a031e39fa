// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// MiniMax-M2: routed experts on every layer; query and key RMS-normalized over all their heads
// together, part of each head rotated. The best corrected sigmoids choose; the weights are the
// plain sigmoids divided by their sum.
#include "lib/families/blocks/decoder_config.h"
#include "lib/families/blocks/experts.h"

namespace qeff::families {
namespace {

using checkpoint::ConfigReader;

/// Keys of the model's own code that say what every released model has. Another value is another
/// model.
Status CheckFixedKeys(const ConfigReader& config) {
  const auto refuse = [&](std::string_view key, std::string_view expected) {
    return config.ErrorAt(ErrorCode::kUnsupported, key, fmt::format("expected {}", expected));
  };
  for (const char* key : {"use_qk_norm", "use_routing_bias"}) {
    QEFF_ASSIGN_OR_RETURN(const bool is_on, config.BoolOr(key, true));
    if (!is_on) return refuse(key, "true");
  }
  QEFF_ASSIGN_OR_RETURN(const std::string norm, config.StringOr("qk_norm_type", "per_layer"));
  if (norm != "per_layer") return refuse("qk_norm_type", "'per_layer'");
  QEFF_ASSIGN_OR_RETURN(const std::string score, config.StringOr("scoring_func", "sigmoid"));
  if (score != "sigmoid") return refuse("scoring_func", "'sigmoid'");
  QEFF_ASSIGN_OR_RETURN(const int64_t shared, config.IntOr("shared_intermediate_size", 0));
  if (shared != 0) return refuse("shared_intermediate_size", "0: experts that are not shared only");
  QEFF_ASSIGN_OR_RETURN(const std::vector<int64_t> types, config.Ints("attn_type_list"));
  for (const int64_t type : types) {
    if (type != 1) return refuse("attn_type_list", "1 on every layer: softmax attention");
  }
  return Status::Ok();
}

}  // namespace

Result<ir::Graph> MinimaxM2(const FamilyInputs& inputs) {
  const ConfigReader& config = inputs.config;
  QEFF_RETURN_IF_ERROR(CheckFixedKeys(config));
  QEFF_ASSIGN_OR_RETURN(const int64_t head_size,
                        config.IntOr("head_dim", 128, checkpoint::kPositive));
  QEFF_ASSIGN_OR_RETURN(const auto rotary_size,
                        config.OptionalInt("rotary_dim", {.minimum = 2, .maximum = head_size}));
  const double rotated =
      static_cast<double>(rotary_size.value_or(head_size)) / static_cast<double>(head_size);
  QEFF_ASSIGN_OR_RETURN(DecoderFacts facts,
                        ReadDecoderFacts(inputs, {.vocab_size = 200064,
                                                  .max_position_embeddings = 196608,
                                                  .num_key_value_heads = 8,
                                                  .head_dim = 128,
                                                  .rope_theta = 5e6,
                                                  .partial_rotary_factor = rotated}));
  if (rotary_size && facts.rotaries[0].rotary_channels != *rotary_size) {
    return config.ErrorAt(ErrorCode::kInvalidInput, "rotary_dim",
                          fmt::format("expected {}, as partial_rotary_factor says, got {}",
                                      facts.rotaries[0].rotary_channels, *rotary_size));
  }
  facts.attention.query_key_norm = QueryKeyNorm::kAllHeads;
  ExpertsFacts experts;
  QEFF_ASSIGN_OR_RETURN(experts.router, ReadRouter(config, {.default_num_experts = 256,
                                                            .default_experts_per_token = 8}));
  experts.router.score = RouterScore::kSigmoid;
  experts.router.choice_is_corrected = true;
  experts.router.weights_are_normalized = true;
  experts.names.prefixes = {"block_sparse_moe.", "mlp."};
  experts.names.correction = "e_score_correction_bias";
  experts.names.gate = "w1";
  experts.names.up = "w3";
  experts.names.down = "w2";
  experts.ffn_size = facts.mlp.ffn_size;
  experts.activation = facts.mlp.activation;
  // Training, and parts that predict later tokens, which checkpoints do not hold.
  for (const char* key :
       {"router_jitter_noise", "use_mtp", "num_mtp_modules", "mtp_transformer_layers"}) {
    config.MarkRead(key);
  }
  for (LayerFacts& layer : facts.layers) layer.feed_forward = ExpertsBlock(experts);
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
