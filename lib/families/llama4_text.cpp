// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The text model of Llama 4: attention within chunks and rotation on most layers; on the others
// attention over everything, with a factor on the query that grows with its position. Some layers
// have routed experts, weighted on their input by the sigmoid of their logit, and a dense block
// beside them.
#include "lib/families/blocks/decoder_config.h"
#include "lib/families/blocks/experts.h"

namespace qeff::families {
namespace {

using checkpoint::ConfigReader;

/// Chunks, rotation, norms and query scaling of each layer.
Status ReadLayerKinds(const ConfigReader& config, DecoderFacts& facts) {
  QEFF_RETURN_IF_ERROR(ReadUnrotatedLayers(config, facts));
  QEFF_ASSIGN_OR_RETURN(
      const std::vector<std::string> types,
      ReadLayerTypes(config, {"chunked_attention", "full_attention"}, facts.layers.size()));
  QEFF_ASSIGN_OR_RETURN(const auto given_chunk,
                        config.OptionalInt("attention_chunk_size", checkpoint::kPositive));
  const int64_t chunk = config.Contains("attention_chunk_size") ? given_chunk.value_or(0) : 8192;
  QEFF_ASSIGN_OR_RETURN(const bool is_tuned, config.BoolOr("attn_temperature_tuning", true));
  QEFF_ASSIGN_OR_RETURN(const double coefficient, config.FloatOr("attn_scale", 0.1));
  QEFF_ASSIGN_OR_RETURN(const double period,
                        config.FloatOr("floor_scale", 8192, checkpoint::kPositiveFloat));
  QEFF_ASSIGN_OR_RETURN(const bool has_norm, config.BoolOr("use_qk_norm", true));
  // Without weights, and of rotated layers only.
  AttentionFacts normalized = facts.attention;
  normalized.query_key_norm = QueryKeyNorm::kEachHead;
  normalized.head_norm.has_weight = false;
  normalized.norm_follows_rotation = true;
  for (size_t i = 0; i < facts.layers.size(); ++i) {
    LayerFacts& layer = facts.layers[i];
    const bool is_rotated = layer.rotary >= 0;
    const bool is_chunked = types.empty() ? is_rotated : types[i] == "chunked_attention";
    layer.chunk_tokens = is_chunked ? chunk : 0;
    if (is_rotated && has_norm) {
      layer.attention = [normalized](const LayerContext& context, ir::Value* x) {
        return AddAttention(context, normalized, x);
      };
    }
    if (!is_rotated && is_tuned) {
      layer.query_scaling = {.coefficient = static_cast<float>(coefficient),
                             .period = static_cast<float>(period),
                             .offset = 1};
    }
  }
  return Status::Ok();
}

Result<ExpertsFacts> ReadLlamaExperts(const ConfigReader& config, MlpFacts dense) {
  ExpertsFacts experts;
  QEFF_ASSIGN_OR_RETURN(experts.router, ReadRouter(config, {.default_num_experts = 16,
                                                            .default_experts_per_token = 1}));
  experts.router.score = RouterScore::kLogit;
  experts.router.weight = ChosenWeight::kSigmoid;
  experts.weights_scale_inputs = true;
  experts.names.prefixes = {"feed_forward."};
  experts.names.routers = {"router"};
  experts.names.stack_layout = StackLayout::kInOut;
  QEFF_ASSIGN_OR_RETURN(experts.ffn_size,
                        config.IntOr("intermediate_size", 8192, checkpoint::kPositive));
  experts.activation = dense.activation;
  dense.names.prefix = "shared_expert.";
  dense.ffn_size = experts.ffn_size;
  experts.shared = SharedExpertFacts{.mlp = std::move(dense), .gate = ""};
  config.MarkRead("router_jitter_noise");  // training only
  return experts;
}

/// moe_layers, or every n-th layer, n = interleave_moe_layer_step.
Status SetExpertLayers(const ConfigReader& config, const LayerBlock& block, DecoderFacts& facts) {
  const auto count = static_cast<int64_t>(facts.layers.size());
  QEFF_ASSIGN_OR_RETURN(const int64_t step,
                        config.IntOr("interleave_moe_layer_step", 1, checkpoint::kPositive));
  QEFF_ASSIGN_OR_RETURN(std::vector<int64_t> layers,
                        config.Ints("moe_layers", {.minimum = 0, .maximum = count - 1}));
  if (!config.Has("moe_layers")) {
    for (int64_t i = step - 1; i < count; i += step) layers.push_back(i);
  }
  for (const int64_t i : layers) facts.layers[static_cast<size_t>(i)].feed_forward = block;
  return Status::Ok();
}

}  // namespace

Result<ir::Graph> Llama4Text(const FamilyInputs& inputs) {
  const ConfigReader& config = inputs.config;
  QEFF_ASSIGN_OR_RETURN(
      DecoderFacts facts,
      ReadDecoderFacts(inputs, {.vocab_size = 202048,
                                .max_position_embeddings = 131072,
                                .intermediate_size = 16384,
                                .num_key_value_heads = 8,
                                .head_dim = 128,
                                .norm_epsilon = 1e-5,
                                .rope_theta = 500000,
                                .keys = {.intermediate_size = "intermediate_size_mlp"}}));
  QEFF_RETURN_IF_ERROR(ReadAttentionBias(config, facts));
  facts.attention.rotation_is_interleaved = true;
  facts.mlp.names.prefix = "feed_forward.";
  QEFF_RETURN_IF_ERROR(ReadLayerKinds(config, facts));
  QEFF_ASSIGN_OR_RETURN(const ExpertsFacts experts, ReadLlamaExperts(config, facts.mlp));
  QEFF_RETURN_IF_ERROR(SetExpertLayers(config, ExpertsBlock(experts), facts));
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
