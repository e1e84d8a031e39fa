// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// gpt-oss: attention with a sink per head and a window on every second layer; routed experts with
// biases, clamped gates and an offset of the other factor. The k best logits choose, the weights
// are the softmax over them.
#include "lib/families/blocks/decoder_config.h"
#include "lib/families/blocks/experts.h"

namespace qeff::families {
namespace {

using checkpoint::ConfigReader;

// The implementation has these as constants; the config's activation is not used.
constexpr float kLimit = 7;
constexpr float kUpOffset = 1;
constexpr const char* kActivation = "quick_gelu";

Status CheckFixedKeys(const ConfigReader& config, const RouterFacts& router) {
  QEFF_ASSIGN_OR_RETURN(const double limit, config.FloatOr("swiglu_limit", kLimit));
  if (limit != kLimit) {
    return config.ErrorAt(ErrorCode::kUnsupported, "swiglu_limit",
                          fmt::format("expected {}, got {}", kLimit, limit));
  }
  QEFF_ASSIGN_OR_RETURN(const std::string activation, config.StringOr("hidden_act", "silu"));
  if (activation != "silu") {
    return config.ErrorAt(ErrorCode::kUnsupported, "hidden_act",
                          fmt::format("expected 'silu', got '{}'", activation));
  }
  // Another spelling of num_experts_per_tok in the first files.
  QEFF_ASSIGN_OR_RETURN(const int64_t choices,
                        config.IntOr("experts_per_token", router.experts_per_token));
  if (choices != router.experts_per_token) {
    return config.ErrorAt(ErrorCode::kInvalidInput, "experts_per_token",
                          fmt::format("expected {} as num_experts_per_tok says, got {}",
                                      router.experts_per_token, choices));
  }
  config.MarkRead("initial_context_length");  // a copy of original_max_position_embeddings
  return Status::Ok();
}

}  // namespace

Result<ir::Graph> GptOss(const FamilyInputs& inputs) {
  const ConfigReader& config = inputs.config;
  if (!config.IsObject("rope_scaling") && !config.IsObject("rope_parameters")) {
    return config.ErrorAt(ErrorCode::kInvalidInput, "rope_scaling",
                          "missing: the rotation of this family is scaled");
  }
  QEFF_ASSIGN_OR_RETURN(DecoderFacts facts,
                        ReadDecoderFacts(inputs, {.vocab_size = 201088,
                                                  .max_position_embeddings = 131072,
                                                  .num_key_value_heads = 8,
                                                  .head_dim = 64,
                                                  .norm_epsilon = 1e-5,
                                                  .rope_theta = 150000}));
  QEFF_ASSIGN_OR_RETURN(const bool has_bias, config.BoolOr("attention_bias", true));
  facts.attention.query_key_value_have_bias = has_bias;
  facts.attention.output_has_bias = has_bias;
  facts.attention.has_sinks = true;
  QEFF_RETURN_IF_ERROR(ReadWindows(
      config, {.default_sliding_window = 128, .default_sliding_window_pattern = 2}, facts));
  ExpertsFacts experts;
  QEFF_ASSIGN_OR_RETURN(experts.router, ReadRouter(config, {.default_num_experts = 128,
                                                            .default_experts_per_token = 4}));
  QEFF_RETURN_IF_ERROR(CheckFixedKeys(config, experts.router));
  experts.router.score = RouterScore::kLogit;
  experts.router.weight = ChosenWeight::kSoftmax;
  experts.router.has_bias = true;
  experts.names.routers = {"router"};
  experts.names.stack_layout = StackLayout::kInOutInterleaved;
  experts.has_bias = true;
  experts.ffn_size = facts.mlp.ffn_size;
  experts.activation = kActivation;
  experts.limit = kLimit;
  experts.up_offset = kUpOffset;
  for (LayerFacts& layer : facts.layers) {
    layer.feed_forward = ExpertsBlock(experts);
    layer.has_ring_cache = inputs.strict_contract && layer.window_tokens > 0;
  }
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
