// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/families/blocks/latent_attention.h"

#include <cmath>

#include "lib/families/blocks/decoder_config.h"
#include "lib/ops/attention.h"

namespace qeff::families {
namespace {

class LatentAttentionBuilder {
 public:
  LatentAttentionBuilder(const LayerContext& context, const LatentAttentionFacts& facts)
      : context_(context),
        builder_(context.builder),
        facts_(facts),
        scope_(context.scope + "/self_attn"),
        name_(context.name + "self_attn."),
        model_size_(context.facts.hidden_size),
        key_size_(facts.unrotated_size + facts.rotated_size) {}

  ir::Value* Build(ir::Value* x) {
    ir::Value* both = Linear("kv_a_proj_with_mqa", x, model_size_,
                             facts_.latent_size + facts_.rotated_size, facts_.has_bias);
    ir::Value* latent =
        Norm("kv_a_layernorm", Part(both, 2, 0, facts_.latent_size), facts_.latent_size);
    ir::Value* rotated = Part(both, 2, facts_.latent_size, facts_.rotated_size);
    const int64_t heads = facts_.num_heads;
    const int64_t part_size = facts_.unrotated_size + facts_.value_size;
    ir::Value* parts = SplitHeads(
        Linear("kv_b_proj", latent, facts_.latent_size, heads * part_size, false), part_size);
    ir::Value* value =
        MergeHeads(Part(parts, 3, facts_.unrotated_size, facts_.value_size), facts_.value_size);
    const ops::AttentionAttributes attributes = {
        .num_heads = heads, .num_kv_heads = heads, .scale = facts_.scale};
    ir::Value* mixed =
        builder_.Qeff(scope_, "Attention",
                      {Query(x), Key(Part(parts, 3, 0, facts_.unrotated_size), rotated), value,
                       context_.attention_positions},
                      ops::ToAttributeMap(attributes));
    return Linear("o_proj", mixed, heads * facts_.value_size, model_size_, facts_.has_bias);
  }

 private:
  ir::Value* Query(ir::Value* x) {
    const int64_t width = facts_.num_heads * key_size_;
    ir::Value* query = nullptr;
    if (facts_.query_rank > 0) {
      query = Linear("q_a_proj", x, model_size_, facts_.query_rank, facts_.has_bias);
      query = Norm("q_a_layernorm", query, facts_.query_rank);
      query = Linear("q_b_proj", query, facts_.query_rank, width, false);
    } else {
      query = Linear("q_proj", x, model_size_, width, false);
    }
    ir::Value* heads = SplitHeads(query, key_size_);
    ir::Value* rotated =
        MergeHeads(Part(heads, 3, facts_.unrotated_size, facts_.rotated_size), facts_.rotated_size);
    rotated = SplitHeads(Rotate(rotated, facts_.num_heads), facts_.rotated_size);
    return MergeHeads(Concat(Part(heads, 3, 0, facts_.unrotated_size), rotated), key_size_);
  }

  /// The rotated part [B, T, R] is the same for all heads.
  ir::Value* Key(ir::Value* unrotated, ir::Value* rotated) {
    rotated = AddReshape(builder_, scope_, Rotate(rotated, 1), {0, 0, 1, facts_.rotated_size});
    const std::vector<int64_t> repeats = {1, 1, facts_.num_heads, 1};
    rotated = builder_.Onnx(scope_, "Expand",
                            {rotated, builder_.Constant("repeats", ir::MakeIntVector(repeats))});
    return MergeHeads(Concat(unrotated, rotated), key_size_);
  }

  ir::Value* Rotate(ir::Value* x, int64_t heads) {
    const RotaryValues& rotary = context_.rotaries.front();
    return builder_.Qeff(scope_, "Rope", {x, rotary.cosine, rotary.sine},
                         {{"num_heads", heads}, {"interleaved", int64_t{1}}});
  }

  ir::Value* Linear(const std::string& name, ir::Value* x, int64_t in, int64_t out, bool bias) {
    return AddLinear(builder_, scope_ + "/" + name, name_ + name, x, in, out, bias);
  }
  ir::Value* Norm(const std::string& name, ir::Value* x, int64_t size) {
    return AddNorm(builder_, scope_ + "/" + name, facts_.latent_norm, name_ + name, x, size);
  }
  ir::Value* Part(ir::Value* x, int64_t axis, int64_t begin, int64_t size) {
    return AddSlice(builder_, scope_, x, axis, begin, begin + size);
  }
  /// [B, T, H * n] -> [B, T, H, n]
  ir::Value* SplitHeads(ir::Value* x, int64_t size) {
    return AddReshape(builder_, scope_, x, {0, 0, facts_.num_heads, size});
  }
  ir::Value* MergeHeads(ir::Value* x, int64_t size) {
    return AddReshape(builder_, scope_, x, {0, 0, facts_.num_heads * size});
  }
  ir::Value* Concat(ir::Value* a, ir::Value* b) {
    return builder_.Onnx(scope_, "Concat", {a, b}, {{"axis", int64_t{3}}});
  }

  const LayerContext& context_;
  Builder& builder_;
  const LatentAttentionFacts& facts_;
  std::string scope_;
  std::string name_;
  int64_t model_size_;
  int64_t key_size_;
};

/// 0.1 m ln(factor) + 1, as transformers' yarn_get_mscale.
double YarnFactor(const checkpoint::RopeConfig& rope) {
  const double factor = rope.factor.value_or(1);
  return factor <= 1 ? 1.0 : 0.1 * rope.mscale_all_dim * std::log(factor) + 1;
}

Result<LatentAttentionFacts> ReadSizes(const checkpoint::ConfigReader& config, int64_t num_heads) {
  LatentAttentionFacts facts;
  facts.num_heads = num_heads;
  facts.latent_norm.epsilon = 1e-6F;  // the class's own, whatever rms_norm_eps says
  const auto read = [&](std::string_view key, int64_t fallback) {
    return config.IntOr(key, fallback, checkpoint::kPositive);
  };
  QEFF_ASSIGN_OR_RETURN(const auto query_rank,
                        config.OptionalInt("q_lora_rank", checkpoint::kPositive));
  // A key that is null means one projection; one that is not there has the class's rank.
  facts.query_rank = query_rank.value_or(config.Contains("q_lora_rank") ? 0 : 1536);
  QEFF_ASSIGN_OR_RETURN(facts.latent_size, read("kv_lora_rank", 512));
  QEFF_ASSIGN_OR_RETURN(facts.unrotated_size, read("qk_nope_head_dim", 128));
  QEFF_ASSIGN_OR_RETURN(facts.rotated_size, read("qk_rope_head_dim", 64));
  QEFF_ASSIGN_OR_RETURN(facts.value_size, read("v_head_dim", 128));
  for (const char* derived : {"qk_head_dim", "head_dim"}) config.MarkRead(derived);
  QEFF_ASSIGN_OR_RETURN(facts.has_bias, config.BoolOr("attention_bias", false));
  QEFF_ASSIGN_OR_RETURN(const bool interleaved, config.BoolOr("rope_interleave", true));
  if (!interleaved) {
    return config.ErrorAt(ErrorCode::kUnsupported, "rope_interleave",
                          "expected true: rotated pairs that are not neighbours are unknown here");
  }
  return facts;
}

}  // namespace

ir::Value* AddLatentAttention(const LayerContext& context, const LatentAttentionFacts& facts,
                              ir::Value* x) {
  return LatentAttentionBuilder(context, facts).Build(x);
}

Result<LatentDecoder> ReadLatentDecoder(const FamilyInputs& inputs,
                                        const LatentDefaults& defaults) {
  const checkpoint::ConfigReader& config = inputs.config;
  const DecoderDefaults decoder = {.vocab_size = defaults.vocab_size,
                                   .max_position_embeddings = defaults.max_position_embeddings,
                                   .hidden_size = defaults.hidden_size,
                                   .num_hidden_layers = defaults.num_hidden_layers,
                                   .num_attention_heads = defaults.num_attention_heads,
                                   .intermediate_size = defaults.intermediate_size,
                                   .head_dim = 64,
                                   .has_rotary = false};
  LatentDecoder result;
  QEFF_ASSIGN_OR_RETURN(result.facts, ReadDecoderFacts(inputs, decoder));
  DecoderFacts& facts = result.facts;
  QEFF_ASSIGN_OR_RETURN(LatentAttentionFacts attention,
                        ReadSizes(config, facts.attention.num_heads));
  QEFF_ASSIGN_OR_RETURN(const int64_t max_positions, ReadMaxPositions(config, decoder));
  QEFF_ASSIGN_OR_RETURN(const checkpoint::RopeConfig rope, checkpoint::ReadRope(config));
  QEFF_ASSIGN_OR_RETURN(RotaryFacts rotary,
                        MakeRotary(inputs, rope, attention.rotated_size, max_positions));
  facts.rotaries = {std::move(rotary)};
  double scale =
      1 / std::sqrt(static_cast<double>(attention.unrotated_size + attention.rotated_size));
  if (defaults.yarn_scale == YarnScale::kSquared && rope.mscale_all_dim != 0) {
    scale *= YarnFactor(rope) * YarnFactor(rope);
  }
  attention.scale = static_cast<float>(scale);
  for (LayerFacts& layer : facts.layers) {
    layer.attention = [attention](const LayerContext& context, ir::Value* x) {
      return AddLatentAttention(context, attention, x);
    };
  }
  QEFF_ASSIGN_OR_RETURN(
      result.first_sparse_layer,
      config.IntOr("first_k_dense_replace", defaults.first_dense_layers, checkpoint::kNotNegative));
  QEFF_ASSIGN_OR_RETURN(const int64_t every,
                        config.IntOr("moe_layer_freq", 1, checkpoint::kPositive));
  if (every != 1) {
    return config.ErrorAt(
        ErrorCode::kUnsupported, "moe_layer_freq",
        fmt::format("expected 1, experts on every layer after the first ones, got {}", every));
  }
  QEFF_RETURN_IF_ERROR(IgnoreLayersOfLaterTokens(config, facts));
  return result;
}

}  // namespace qeff::families
