// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Phi-3.5-MoE: layer norms, biases in attention, and two routed experts a token that a sparse mixer
// chooses.
#include "lib/families/blocks/decoder_config.h"
#include "lib/families/blocks/experts.h"

namespace qeff::families {
namespace {

using checkpoint::ConfigReader;

/// longrope tables have a factor of their own here, instead of the one that follows from the
/// lengths.
Status ReadRotaryFactor(const ConfigReader& config, RotaryFacts& rotary) {
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    if (!config.IsObject(key)) continue;
    QEFF_ASSIGN_OR_RETURN(const ConfigReader object, config.Section(key));
    QEFF_ASSIGN_OR_RETURN(const auto near, object.OptionalFloat("short_mscale"));
    QEFF_ASSIGN_OR_RETURN(const auto far, object.OptionalFloat("long_mscale"));
    if (!near && !far) continue;
    if (near != far) {
      return object.ErrorAt(ErrorCode::kUnsupported, "long_mscale",
                            "expected the value of short_mscale");
    }
    if (rotary.kind == RotaryKind::kByContext) rotary.scale = static_cast<float>(*near);
  }
  return Status::Ok();
}

}  // namespace

Result<ir::Graph> Phimoe(const FamilyInputs& inputs) {
  const ConfigReader& config = inputs.config;
  QEFF_ASSIGN_OR_RETURN(DecoderFacts facts,
                        ReadDecoderFacts(inputs, {.vocab_size = 32064,
                                                  .max_position_embeddings = 131072,
                                                  .num_key_value_heads = 8,
                                                  .norm_epsilon = 1e-5,
                                                  .rope_theta = 1e6}));
  QEFF_RETURN_IF_ERROR(ReadRotaryFactor(config, facts.rotaries[0]));
  facts.norm.kind = NormKind::kLayer;
  QEFF_RETURN_IF_ERROR(ReadAttentionBias(config, facts));
  QEFF_RETURN_IF_ERROR(ReadWindows(config, {}, facts));
  QEFF_ASSIGN_OR_RETURN(facts.head_has_bias, config.BoolOr("lm_head_bias", false));
  ExpertsFacts experts;
  QEFF_ASSIGN_OR_RETURN(experts.router, ReadRouter(config, {.default_num_experts = 16,
                                                            .default_experts_per_token = 2}));
  if (experts.router.experts_per_token != 2) {
    return config.ErrorAt(ErrorCode::kUnsupported, "num_experts_per_tok",
                          fmt::format("expected 2: the sparse mixer chooses two, got {}",
                                      experts.router.experts_per_token));
  }
  experts.router.score = RouterScore::kSparseMixer;
  QEFF_ASSIGN_OR_RETURN(const double jitter,
                        config.FloatOr("router_jitter_noise", 0.01, {.minimum = 0}));
  experts.router.jitter = static_cast<float>(jitter);
  config.MarkRead("input_jitter_noise");  // training only
  experts.names.prefixes = {"block_sparse_moe.", "mlp."};
  experts.names.routers = {"gate", "router"};
  experts.names.gate = "w1";
  experts.names.up = "w3";
  experts.names.down = "w2";
  experts.ffn_size = facts.mlp.ffn_size;
  experts.activation = facts.mlp.activation;
  for (LayerFacts& layer : facts.layers) layer.feed_forward = ExpertsBlock(experts);
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
