// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/families/blocks/gated_delta_net.h"

#include <cmath>

#include "lib/families/blocks/decoder_config.h"

namespace qeff::families {
namespace {

/// Under the root of the sum of squares.
constexpr float kLengthEpsilon = 1e-6F;

class DeltaNetBuilder {
 public:
  DeltaNetBuilder(const LayerContext& context, const GatedDeltaNetFacts& facts)
      : context_(context),
        builder_(context.builder),
        facts_(facts),
        scope_(context.scope + "/linear_attn"),
        name_(context.name + facts.prefix),
        model_size_(context.facts.hidden_size),
        key_width_(facts.num_key_heads * facts.key_size),
        value_width_(facts.num_value_heads * facts.value_size) {}

  ir::Value* Build(ir::Value* x) {
    // Padding must leave the state as it is: without a bias, zeros do.
    if (context_.attention_mask != nullptr) {
      ir::Value* weights = AddTokenWeights(builder_, context_.attention_mask);
      x = builder_.Onnx(scope_, "Mul", {x, weights});
    }
    const Projections weights =
        facts_.projections == DeltaNetProjections::kSeparate ? TakeSeparate() : TakeByKeyHead();
    const int64_t conv_width = 2 * key_width_ + value_width_;
    ir::Value* mixed = builder_.Qeff(scope_ + "/in_proj_qkv", "Linear", {x, weights.qkv});
    mixed = builder_.Qeff(
        scope_, "CausalConv",
        {mixed, builder_.Weight(name_ + "conv1d.weight", {conv_width, 1, facts_.conv_taps}),
         context_.position_ids},
        {{"activation", std::string("silu")}});
    ir::Value* query = AddSlice(builder_, scope_, mixed, 2, 0, key_width_);
    ir::Value* key = AddSlice(builder_, scope_, mixed, 2, key_width_, 2 * key_width_);
    ir::Value* value = AddSlice(builder_, scope_, mixed, 2, 2 * key_width_, conv_width);
    ir::Value* beta = builder_.Onnx(
        scope_, "Sigmoid", {builder_.Qeff(scope_ + "/in_proj_b", "Linear", {x, weights.beta})});
    const auto size = static_cast<float>(facts_.key_size);
    ir::Value* result = builder_.Qeff(
        scope_, "GatedDeltaRule",
        {OfLength(query, 1 / std::sqrt(size), "query_length"), OfLength(key, 1, "key_length"),
         value, Decay(x, weights.decay), beta, context_.position_ids},
        {{"num_key_heads", facts_.num_key_heads}, {"num_value_heads", facts_.num_value_heads}});
    result = AddNorm(builder_, scope_ + "/norm", facts_.norm, name_ + "norm", result,
                     facts_.value_size, facts_.num_value_heads);
    ir::Value* gate = builder_.Qeff(scope_ + "/in_proj_z", "Linear", {x, weights.gate});
    gate = builder_.Qeff(scope_, "Activation", {gate}, {{"kind", std::string("silu")}});
    result = builder_.Onnx(scope_, "Mul", {result, gate});
    return AddLinear(builder_, scope_ + "/out_proj", name_ + "out_proj", result, value_width_,
                     model_size_, /*has_bias=*/false);
  }

 private:
  struct Projections {
    ir::Value* qkv;    ///< [2 Hk * E + Hv * Ev, D]: [q | k | v]
    ir::Value* gate;   ///< [Hv * Ev, D]
    ir::Value* beta;   ///< [Hv, D]
    ir::Value* decay;  ///< [Hv, D]
  };

  Projections TakeSeparate() {
    const auto weight = [&](const std::string& name, int64_t rows) {
      return builder_.Weight(name_ + name + ".weight", {rows, model_size_});
    };
    return {weight("in_proj_qkv", 2 * key_width_ + value_width_), weight("in_proj_z", value_width_),
            weight("in_proj_b", facts_.num_value_heads),
            weight("in_proj_a", facts_.num_value_heads)};
  }

  Projections TakeByKeyHead() {
    const int64_t group = value_width_ / facts_.num_key_heads;  // value channels of a key head
    const int64_t heads = facts_.num_value_heads / facts_.num_key_heads;
    const ir::WeightPtr qkvz = TakeGrouped("in_proj_qkvz", 2 * facts_.key_size + 2 * group);
    const ir::WeightPtr ba = TakeGrouped("in_proj_ba", 2 * heads);
    const int64_t size = facts_.key_size;
    const auto constant = [&](const std::string& name, ir::WeightPtr weight) {
      return builder_.Constant(name_ + name + ".weight", std::move(weight));
    };
    return {
        constant("in_proj_qkv", ir::Concatenated({Part(qkvz, 0, size), Part(qkvz, size, 2 * size),
                                                  Part(qkvz, 2 * size, 2 * size + group)},
                                                 0)),
        constant("in_proj_z", Part(qkvz, 2 * size + group, 2 * size + 2 * group)),
        constant("in_proj_b", Part(ba, 0, heads)),
        constant("in_proj_a", Part(ba, heads, 2 * heads))};
  }

  /// [Hk, rows, D]
  ir::WeightPtr TakeGrouped(const std::string& name, int64_t rows) {
    const int64_t groups = facts_.num_key_heads;
    return ir::Reshaped(builder_.Take(name_ + name + ".weight", {groups * rows, model_size_}),
                        {groups, rows, model_size_});
  }

  /// Rows begin .. end - 1 of each group, [Hk * rows, D].
  ir::WeightPtr Part(const ir::WeightPtr& grouped, int64_t begin, int64_t end) {
    return ir::Reshaped(ir::Sliced(grouped, 1, begin, end),
                        {facts_.num_key_heads * (end - begin), model_size_});
  }

  /// Each head divided by its length, times `factor`: x / sqrt(sum(x^2) + e) is RMS normalization
  /// with the epsilon e / E and all weights 1 / sqrt(E).
  ir::Value* OfLength(ir::Value* x, float factor, const std::string& name) {
    const auto size = static_cast<float>(facts_.key_size);
    const std::vector<float> weights(static_cast<size_t>(facts_.key_size),
                                     factor / std::sqrt(size));
    ir::AttributeMap attributes = {{"epsilon", kLengthEpsilon / size}};
    if (facts_.num_key_heads > 1) attributes["num_groups"] = facts_.num_key_heads;
    ir::Value* weight = builder_.Constant(name, ir::MakeFloats({facts_.key_size}, weights));
    return builder_.Qeff(scope_, "RmsNorm", {x, weight}, std::move(attributes));
  }

  /// g [B, T, Hv] = -exp(A_log) softplus(a(x) + dt_bias)
  ir::Value* Decay(ir::Value* x, ir::Value* weight) {
    const std::vector<int64_t> dims = {facts_.num_value_heads};
    ir::Value* step = builder_.Qeff(scope_ + "/in_proj_a", "Linear",
                                    {x, weight, builder_.Weight(name_ + "dt_bias", dims)});
    step = builder_.Onnx(scope_, "Softplus", {step});
    ir::Value* rate = builder_.Onnx(scope_, "Exp", {builder_.Weight(name_ + "A_log", dims)});
    return builder_.Onnx(scope_, "Mul", {builder_.Onnx(scope_, "Neg", {rate}), step});
  }

  const LayerContext& context_;
  Builder& builder_;
  const GatedDeltaNetFacts& facts_;
  std::string scope_;
  std::string name_;
  int64_t model_size_;
  int64_t key_width_;
  int64_t value_width_;
};

Result<GatedDeltaNetFacts> ReadSizes(const checkpoint::ConfigReader& config) {
  GatedDeltaNetFacts facts;
  const auto read = [&](std::string_view key, int64_t fallback) {
    return config.IntOr(key, fallback, checkpoint::kPositive);
  };
  QEFF_ASSIGN_OR_RETURN(facts.num_key_heads, read("linear_num_key_heads", 16));
  QEFF_ASSIGN_OR_RETURN(facts.num_value_heads, read("linear_num_value_heads", 32));
  QEFF_ASSIGN_OR_RETURN(facts.key_size, read("linear_key_head_dim", 128));
  QEFF_ASSIGN_OR_RETURN(facts.value_size, read("linear_value_head_dim", 128));
  QEFF_ASSIGN_OR_RETURN(facts.conv_taps, read("linear_conv_kernel_dim", 4));
  if (facts.num_value_heads % facts.num_key_heads != 0) {
    return config.ErrorAt(ErrorCode::kInvalidInput, "linear_num_value_heads",
                          fmt::format("expected a multiple of linear_num_key_heads ({}), got {}",
                                      facts.num_key_heads, facts.num_value_heads));
  }
  return facts;
}

/// For each layer whether it is a gated delta net.
Result<std::vector<bool>> ReadLinearLayers(const checkpoint::ConfigReader& config, size_t layers) {
  QEFF_ASSIGN_OR_RETURN(const std::vector<std::string> types,
                        ReadLayerTypes(config, {"full_attention", "linear_attention"}, layers));
  QEFF_ASSIGN_OR_RETURN(const int64_t interval,
                        config.IntOr("full_attention_interval", 4, checkpoint::kPositive));
  std::vector<bool> is_linear;
  for (size_t i = 0; i < layers; ++i) {
    is_linear.push_back(types.empty() ? (static_cast<int64_t>(i) + 1) % interval != 0
                                      : types[i] == "linear_attention");
  }
  return is_linear;
}

}  // namespace

ir::Value* AddGatedDeltaNet(const LayerContext& context, const GatedDeltaNetFacts& facts,
                            ir::Value* x) {
  return DeltaNetBuilder(context, facts).Build(x);
}

Status ReadDeltaNetLayers(const FamilyInputs& inputs, DeltaNetProjections projections,
                          DecoderFacts& facts) {
  const checkpoint::ConfigReader& config = inputs.config;
  QEFF_ASSIGN_OR_RETURN(GatedDeltaNetFacts net, ReadSizes(config));
  net.projections = projections;
  net.norm = facts.norm;
  facts.norm.weight_offset = 1;
  facts.attention.query_key_norm = QueryKeyNorm::kEachHead;
  facts.attention.head_norm = facts.norm;
  facts.attention.output_is_gated = true;
  facts.names.ignored.emplace_back("mtp.");
  QEFF_RETURN_IF_ERROR(ReadAttentionBias(config, facts));
  QEFF_ASSIGN_OR_RETURN(const std::vector<bool> is_linear,
                        ReadLinearLayers(config, facts.layers.size()));
  for (size_t i = 0; i < is_linear.size(); ++i) {
    if (!is_linear[i]) continue;
    facts.layers[i].attention = [net](const LayerContext& context, ir::Value* x) {
      return AddGatedDeltaNet(context, net, x);
    };
  }
  return Status::Ok();
}

}  // namespace qeff::families
