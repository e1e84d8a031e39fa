// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Gemma 4, text: layers with a window and layers without, which have other head sizes and a
// rotation that turns a part of each head's pairs only; query, key and value normalized per head,
// scores not scaled. The last num_kv_shared_layers layers read keys and values of the last layer of
// their type before them. Each token has a small vector for each layer, added behind the layer.
// Optional: values that are the unrotated keys, and routed experts beside the dense block.
#include <algorithm>
#include <cmath>

#include "lib/families/blocks/decoder_config.h"
#include "lib/families/blocks/experts.h"
#include "lib/ops/attention.h"

namespace qeff::families {
namespace {

constexpr const char* kPerLayerInputs = "per-layer inputs";

/// Attention of one type of layers.
struct Gemma4Attention {
  int64_t num_heads = 0;
  int64_t num_kv_heads = 0;
  int64_t head_size = 0;
  int64_t rotary = 0;  ///< index in DecoderFacts::rotaries
  bool has_bias = false;
  bool value_is_key = false;  ///< the projected key, before its norm and rotation
  std::string shared_name;    ///< under which later layers find key and value
  NormFacts norm;
};

/// Whose keys and values a layer reads; own ones stay there for later layers of its type.
enum class KeyValues { kOwn, kOfEarlierLayer };

class Gemma4AttentionBuilder {
 public:
  Gemma4AttentionBuilder(const LayerContext& context, const Gemma4Attention& facts)
      : context_(context),
        builder_(context.builder),
        facts_(facts),
        scope_(context.scope + "/self_attn"),
        name_(context.name + "self_attn.") {}

  ir::Value* Build(ir::Value* x, KeyValues source) {
    ir::Value* query =
        Normalized("q_norm", Project("q_proj", x, facts_.num_heads), facts_.num_heads, facts_.norm);
    query = Rotated(query, facts_.num_heads);
    ir::Value*& key = context_.shared[facts_.shared_name + " key"];
    ir::Value*& value = context_.shared[facts_.shared_name + " value"];
    if (source == KeyValues::kOfEarlierLayer) {
      // Files hold tensors that no layer reads, as transformers does not.
      for (const char* unused : {"k_proj.weight", "v_proj.weight", "k_proj.bias", "v_proj.bias",
                                 "k_norm.weight", "v_norm.weight"}) {
        builder_.Ignore(name_ + unused);
      }
    } else {
      key = Project("k_proj", x, facts_.num_kv_heads);
      value = facts_.value_is_key ? key : Project("v_proj", x, facts_.num_kv_heads);
      NormFacts plain = facts_.norm;
      plain.has_weight = false;
      key =
          Rotated(Normalized("k_norm", key, facts_.num_kv_heads, facts_.norm), facts_.num_kv_heads);
      value = Normalized("v_norm", value, facts_.num_kv_heads, plain);
    }
    const ops::AttentionAttributes attributes = {
        .num_heads = facts_.num_heads,
        .num_kv_heads = facts_.num_kv_heads,
        .scale = 1,
        .window_tokens = context_.facts.layers[context_.layer].window_tokens};
    ir::Value* mixed =
        builder_.Qeff(scope_, "Attention", {query, key, value, context_.attention_positions},
                      ops::ToAttributeMap(attributes));
    return AddLinear(builder_, scope_ + "/o_proj", name_ + "o_proj", mixed,
                     facts_.num_heads * facts_.head_size, context_.facts.hidden_size,
                     facts_.has_bias);
  }

 private:
  ir::Value* Project(const std::string& name, ir::Value* x, int64_t heads) {
    return AddLinear(builder_, scope_ + "/" + name, name_ + name, x, context_.facts.hidden_size,
                     heads * facts_.head_size, facts_.has_bias);
  }
  ir::Value* Normalized(const std::string& name, ir::Value* x, int64_t heads,
                        const NormFacts& norm) {
    return AddNorm(builder_, scope_ + "/" + name, norm, name_ + name, x, facts_.head_size, heads);
  }
  ir::Value* Rotated(ir::Value* x, int64_t heads) {
    const RotaryValues& rotary = context_.rotaries[static_cast<size_t>(facts_.rotary)];
    return builder_.Qeff(scope_, "Rope", {x, rotary.cosine, rotary.sine}, {{"num_heads", heads}});
  }

  const LayerContext& context_;
  Builder& builder_;
  const Gemma4Attention& facts_;
  std::string scope_;
  std::string name_;
};

ir::Value* AddLayerNorm(const LayerContext& context, const std::string& name, ir::Value* x) {
  return AddNorm(context.builder, context.scope + "/" + name, context.facts.norm,
                 context.name + name, x, context.facts.hidden_size);
}

/// Experts beside the dense block: both get what the layer's attention has left, each through norms
/// of its own; the router sees it normalized and scaled.
ir::Value* AddDenseAndExperts(const LayerContext& context, const MlpFacts& dense,
                              const ExpertsFacts& experts, ir::Value* x) {
  Builder& builder = context.builder;
  const std::string scope = context.scope + "/router";
  const std::string name = context.name + "router.";
  const int64_t model_size = context.facts.hidden_size;
  ir::Value* first = AddMlp(context, dense, AddLayerNorm(context, "pre_feedforward_layernorm", x));
  first = AddLayerNorm(context, "post_feedforward_layernorm_1", first);

  ir::Value* seen =
      builder.Qeff(scope, "RmsNorm", {x, builder.Weight(name + "scale", {model_size})},
                   {{"epsilon", context.facts.norm.epsilon}});
  seen = AddScale(builder, scope, seen, 1 / std::sqrt(static_cast<float>(model_size)));
  ir::Value* logits = AddLinear(builder, scope + "/proj", name + "proj", seen, model_size,
                                experts.router.num_experts, /*has_bias=*/false);
  Routing routing = AddRouting(builder, scope, experts.router, logits, nullptr);
  ir::Value* scales = builder.Weight(name + "per_expert_scale", {experts.router.num_experts});
  scales = builder.Onnx(scope, "Gather", {scales, routing.expert_ids}, {{"axis", int64_t{0}}});
  routing.weights = builder.Onnx(scope, "Mul", {routing.weights, scales});
  ir::Value* second = AddLayerNorm(context, "pre_feedforward_layernorm_2", x);
  second = AddRoutedExperts(context, experts, second, routing);
  second = AddLayerNorm(context, "post_feedforward_layernorm_2", second);
  return builder.Onnx(context.scope, "Add", {first, second});
}

/// [B, T, layers * size]: from the token's own table and from its embedding, in equal parts.
LayerBlock MakePerLayerInputs(int64_t vocab_size, int64_t size) {
  return [=](const LayerContext& context, ir::Value* x) {
    Builder& builder = context.builder;
    const auto layers = static_cast<int64_t>(context.facts.layers.size());
    const int64_t model_size = context.facts.hidden_size;
    const std::string prefix =
        context.name.substr(0, context.name.rfind(context.facts.names.layers + "."));
    const std::string scope = "/model/per_layer_inputs";
    ir::Value* table =
        builder.Weight(prefix + "embed_tokens_per_layer.weight", {vocab_size, layers * size});
    ir::Value* own = builder.Onnx(scope + "/embed_tokens_per_layer", "Gather",
                                  {table, context.input_ids}, {{"axis", int64_t{0}}});
    own = AddScale(builder, scope, own, std::sqrt(static_cast<float>(size)));
    ir::Value* projected =
        AddLinear(builder, scope + "/projection", prefix + "per_layer_model_projection", x,
                  model_size, layers * size, /*has_bias=*/false);
    projected = AddScale(builder, scope, projected, 1 / std::sqrt(static_cast<float>(model_size)));
    projected = AddNorm(builder, scope + "/norm", context.facts.norm,
                        prefix + "per_layer_projection_norm", projected, size, layers);
    ir::Value* both = builder.Onnx(scope, "Add", {projected, own});
    context.shared[kPerLayerInputs] = AddScale(builder, scope, both, std::sqrt(0.5F));
    return x;
  };
}

/// What stands behind each layer: the token's vector of the layer through a gate, then a factor.
LayerBlock MakeFinish(int64_t size, std::string activation) {
  return [=](const LayerContext& context, ir::Value* x) {
    Builder& builder = context.builder;
    const std::string scope = context.scope + "/per_layer_input";
    if (size > 0) {
      const auto layer = static_cast<int64_t>(context.layer);
      const int64_t model_size = context.facts.hidden_size;
      ir::Value* input = AddSlice(builder, scope, context.shared[kPerLayerInputs], 2, layer * size,
                                  (layer + 1) * size);
      ir::Value* gate = AddLinear(builder, scope + "/gate", context.name + "per_layer_input_gate",
                                  x, model_size, size, /*has_bias=*/false);
      gate = builder.Qeff(scope, "Activation", {gate}, {{"kind", activation}});
      ir::Value* added = builder.Onnx(scope, "Mul", {gate, input});
      added = AddLinear(builder, scope + "/projection", context.name + "per_layer_projection",
                        added, size, model_size, /*has_bias=*/false);
      added = AddLayerNorm(context, "post_per_layer_input_norm", added);
      x = builder.Onnx(scope, "Add", {x, added});
    }
    return builder.Onnx(context.scope, "Mul",
                        {x, builder.Weight(context.name + "layer_scalar", {1})});
  };
}

/// For each layer whether it has a window; the last one never has.
Result<std::vector<bool>> ReadSlidingLayers(const checkpoint::ConfigReader& config, size_t layers) {
  QEFF_ASSIGN_OR_RETURN(const std::vector<std::string> types,
                        ReadLayerTypes(config, {"full_attention", "sliding_attention"}, layers));
  std::vector<bool> slides;
  for (size_t i = 0; i < layers; ++i)
    slides.push_back(types.empty() ? (i + 1) % 6 != 0 : types[i] == "sliding_attention");
  slides.back() = false;
  return slides;
}

/// Sets attention, windows and rotations of all layers.
Status ReadAttention(const FamilyInputs& inputs, const std::vector<bool>& slides,
                     int64_t first_shared, DecoderFacts& facts) {
  const checkpoint::ConfigReader& config = inputs.config;
  Gemma4Attention sliding{.num_heads = facts.attention.num_heads,
                          .num_kv_heads = facts.attention.num_kv_heads,
                          .head_size = facts.attention.head_size,
                          .rotary = 1,
                          .shared_name = "sliding",
                          .norm = facts.norm};
  QEFF_ASSIGN_OR_RETURN(sliding.has_bias, config.BoolOr("attention_bias", false));
  Gemma4Attention full = sliding;
  full.rotary = 0;
  full.shared_name = "full";
  QEFF_ASSIGN_OR_RETURN(const int64_t global_size,
                        config.IntOr("global_head_dim", 512, checkpoint::kNotNegative));
  if (global_size > 0) full.head_size = global_size;
  QEFF_ASSIGN_OR_RETURN(full.value_is_key, config.BoolOr("attention_k_eq_v", false));
  QEFF_ASSIGN_OR_RETURN(const auto global_heads,
                        config.OptionalInt("num_global_key_value_heads", checkpoint::kPositive));
  if (full.value_is_key && global_heads) full.num_kv_heads = *global_heads;
  if (full.num_heads % full.num_kv_heads != 0) {
    return config.ErrorAt(ErrorCode::kInvalidInput, "num_global_key_value_heads",
                          fmt::format("expected a divisor of num_attention_heads ({}), got {}",
                                      full.num_heads, full.num_kv_heads));
  }
  QEFF_ASSIGN_OR_RETURN(const int64_t window,
                        config.IntOr("sliding_window", 512, checkpoint::kPositive));
  for (size_t i = 0; i < slides.size(); ++i) {
    const Gemma4Attention& attention = slides[i] ? sliding : full;
    const bool is_shared = first_shared > 0 && static_cast<int64_t>(i) >= first_shared;
    if (is_shared && std::find(slides.begin(), slides.begin() + first_shared, slides[i]) ==
                         slides.begin() + first_shared) {
      return config.ErrorAt(
          ErrorCode::kInvalidInput, "num_kv_shared_layers",
          fmt::format("layer {} has no earlier layer of its type to take keys and values from", i));
    }
    facts.layers[i].window_tokens = slides[i] ? window : 0;
    facts.layers[i].attention = [=](const LayerContext& context, ir::Value* x) {
      return Gemma4AttentionBuilder(context, attention)
          .Build(x, is_shared ? KeyValues::kOfEarlierLayer : KeyValues::kOwn);
    };
  }
  QEFF_ASSIGN_OR_RETURN(const int64_t max_positions,
                        ReadMaxPositions(config, {.max_position_embeddings = 131072}));
  QEFF_ASSIGN_OR_RETURN(RotaryFacts turning_partly,
                        ReadRotary(inputs,
                                   {.default_type = checkpoint::RopeType::kProportional,
                                    .default_theta = 1e6,
                                    .default_partial_rotary_factor = 0.25,
                                    .layer_type = "full_attention"},
                                   full.head_size, max_positions));
  facts.rotaries = {std::move(turning_partly)};
  if (std::find(slides.begin(), slides.end(), true) == slides.end()) return Status::Ok();
  QEFF_ASSIGN_OR_RETURN(RotaryFacts turning, ReadRotary(inputs, {.layer_type = "sliding_attention"},
                                                        sliding.head_size, max_positions));
  facts.rotaries.push_back(std::move(turning));
  return Status::Ok();
}

Result<ExpertsFacts> ReadExperts(const checkpoint::ConfigReader& config,
                                 const std::string& activation) {
  ExpertsFacts experts;
  QEFF_ASSIGN_OR_RETURN(experts.router, ReadRouter(config, {.num_experts = {"num_experts"},
                                                            .experts_per_token = "top_k_experts"}));
  experts.router.weights_are_normalized = true;
  QEFF_ASSIGN_OR_RETURN(experts.ffn_size,
                        config.Int("moe_intermediate_size", checkpoint::kPositive));
  experts.activation = activation;
  experts.names.prefixes = {""};
  return experts;
}

/// Sets the feed-forward blocks: wider in layers without keys of their own if the config says so.
Status ReadFeedForward(const checkpoint::ConfigReader& config, int64_t first_shared,
                       DecoderFacts& facts) {
  QEFF_ASSIGN_OR_RETURN(const bool doubles, config.BoolOr("use_double_wide_mlp", false));
  QEFF_ASSIGN_OR_RETURN(const bool has_experts, config.BoolOr("enable_moe_block", false));
  ExpertsFacts experts;
  if (has_experts) {
    QEFF_ASSIGN_OR_RETURN(experts, ReadExperts(config, facts.mlp.activation));
    facts.names.mlp_norm = "";  // the two branches have norms of their own
  } else {
    for (const char* unused : {"num_experts", "top_k_experts", "moe_intermediate_size"})
      config.MarkRead(unused);
  }
  for (size_t i = 0; i < facts.layers.size(); ++i) {
    MlpFacts mlp = facts.mlp;
    if (doubles && first_shared > 0 && static_cast<int64_t>(i) >= first_shared) mlp.ffn_size *= 2;
    facts.layers[i].feed_forward = [=](const LayerContext& context, ir::Value* x) {
      return has_experts ? AddDenseAndExperts(context, mlp, experts, x) : AddMlp(context, mlp, x);
    };
  }
  return Status::Ok();
}

}  // namespace

Result<ir::Graph> Gemma4Text(const FamilyInputs& inputs) {
  const checkpoint::ConfigReader& config = inputs.config;
  QEFF_ASSIGN_OR_RETURN(const auto reach, config.OptionalString("use_bidirectional_attention"));
  if (reach && *reach != "vision") {  // which concerns images only
    return config.ErrorAt(ErrorCode::kUnsupported, "use_bidirectional_attention",
                          fmt::format("attention to later tokens ('{}')", *reach));
  }
  QEFF_ASSIGN_OR_RETURN(DecoderFacts facts,
                        ReadDecoderFacts(inputs, {.vocab_size = 262144,
                                                  .max_position_embeddings = 131072,
                                                  .hidden_size = 2304,
                                                  .num_hidden_layers = 30,
                                                  .num_attention_heads = 8,
                                                  .intermediate_size = 9216,
                                                  .num_key_value_heads = 4,
                                                  .head_dim = 256,
                                                  .activation = "gelu_pytorch_tanh",
                                                  .tie_word_embeddings = true,
                                                  .has_rotary = false,
                                                  .keys = {.activation = "hidden_activation"}}));
  facts.names.prefix = FindTextPrefix(inputs.weights);
  facts.names.attention_post_norm = "post_attention_layernorm";
  facts.names.mlp_norm = "pre_feedforward_layernorm";
  facts.names.mlp_post_norm = "post_feedforward_layernorm";
  facts.embedding_scale = std::sqrt(static_cast<float>(facts.hidden_size));
  QEFF_ASSIGN_OR_RETURN(facts.logits_softcap,
                        ReadSoftcap(config, "final_logit_softcapping", std::nullopt));
  QEFF_ASSIGN_OR_RETURN(const std::vector<bool> slides,
                        ReadSlidingLayers(config, facts.layers.size()));
  const auto layers = static_cast<int64_t>(facts.layers.size());
  QEFF_ASSIGN_OR_RETURN(const int64_t shared_layers,
                        config.IntOr("num_kv_shared_layers", 0, checkpoint::kNotNegative));
  const int64_t first_shared = shared_layers > 0 ? layers - shared_layers : 0;
  QEFF_RETURN_IF_ERROR(ReadAttention(inputs, slides, first_shared, facts));
  QEFF_RETURN_IF_ERROR(ReadFeedForward(config, first_shared, facts));
  QEFF_ASSIGN_OR_RETURN(const int64_t input_size,
                        config.IntOr("hidden_size_per_layer_input", 256, checkpoint::kNotNegative));
  QEFF_ASSIGN_OR_RETURN(const int64_t input_vocab,
                        config.IntOr("vocab_size_per_layer_input", 262144, checkpoint::kPositive));
  if (input_size > 0) facts.prepare = MakePerLayerInputs(input_vocab, input_size);
  for (LayerFacts& layer : facts.layers)
    layer.finish = MakeFinish(input_size, facts.mlp.activation);
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
