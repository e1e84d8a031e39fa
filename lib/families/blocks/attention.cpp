// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/families/blocks/attention.h"

#include <cmath>

#include "lib/families/blocks/decoder.h"
#include "lib/ops/attention.h"

namespace qeff::families {
namespace {

struct QueryKeyValue {
  ir::Value* query;           ///< [B, T, H * E]
  ir::Value* key;             ///< [B, T, K * E]
  ir::Value* value;           ///< [B, T, K * E]
  ir::Value* gate = nullptr;  ///< [B, T, H * E]
};

class AttentionBuilder {
 public:
  AttentionBuilder(const LayerContext& context, const AttentionFacts& facts)
      : context_(context),
        builder_(context.builder),
        facts_(facts),
        layer_(context.facts.layers[context.layer]),
        scope_(context.scope + "/self_attn"),
        name_(context.name + facts.names.prefix),
        query_size_(facts.num_heads * facts.head_size),
        kv_size_(facts.num_kv_heads * facts.head_size) {}

  ir::Value* Build(ir::Value* x, ir::Value* key_value_source) {
    QueryKeyValue qkv =
        facts_.names.fused.name.empty() ? Project(x, key_value_source) : ProjectFused(x);
    if (!facts_.norm_follows_rotation) NormalizeHeads(qkv);
    if (facts_.clip > 0) {
      for (ir::Value** part : {&qkv.query, &qkv.key, &qkv.value}) {
        *part = builder_.Onnx(scope_, "Clip",
                              {*part, builder_.Float(-facts_.clip), builder_.Float(facts_.clip)});
      }
    }
    if (layer_.rotary >= 0) {
      qkv.query = Rotate(qkv.query, facts_.num_heads);
      qkv.key = Rotate(qkv.key, facts_.num_kv_heads);
    }
    if (facts_.norm_follows_rotation) NormalizeHeads(qkv);
    if (layer_.query_scaling) {
      qkv.query = builder_.Onnx(scope_, "Mul", {qkv.query, QueryFactors(*layer_.query_scaling)});
    }
    ir::Value* mixed = Attend(qkv);
    if (qkv.gate != nullptr) {
      ir::Value* opening = builder_.Onnx(scope_, "Sigmoid", {qkv.gate});
      mixed = builder_.Onnx(scope_, "Mul", {mixed, opening});
    }
    return AddLinear(builder_, scope_ + "/o_proj", name_ + facts_.names.output, mixed, query_size_,
                     context_.facts.hidden_size, facts_.output_has_bias, facts_.layout);
  }

 private:
  QueryKeyValue Project(ir::Value* x, ir::Value* key_value_source) {
    const auto project = [&](const std::string& part, ir::Value* source, int64_t out) {
      return AddLinear(builder_, scope_ + "/" + part, name_ + part, source,
                       context_.facts.hidden_size, out, facts_.query_key_value_have_bias,
                       facts_.layout);
    };
    QueryKeyValue result{};
    if (facts_.output_is_gated) {
      result.query = ProjectPartOfHeads(x, "query", 0);
      result.gate = ProjectPartOfHeads(x, "gate", 1);
    } else {
      result.query = project(facts_.names.query, x, query_size_);
    }
    result.key = project(facts_.names.key, key_value_source, kv_size_);
    result.value = project(facts_.names.value, key_value_source, kv_size_);
    return result;
  }

  /// Half 0 or 1 of each head's rows in the query's tensor [H * 2 E, D].
  ir::Value* ProjectPartOfHeads(ir::Value* x, const std::string& part, int64_t half) {
    const std::string name = name_ + facts_.names.query;
    const int64_t size = facts_.head_size;
    const auto take = [&](const std::string& kind, std::vector<int64_t> tail) {
      std::vector<int64_t> dims = {2 * query_size_};
      dims.insert(dims.end(), tail.begin(), tail.end());
      std::vector<int64_t> by_head = {facts_.num_heads, 2 * size};
      by_head.insert(by_head.end(), tail.begin(), tail.end());
      ir::WeightPtr weight = ir::Sliced(ir::Reshaped(builder_.Take(name + kind, dims), by_head), 1,
                                        half * size, (half + 1) * size);
      dims[0] = query_size_;
      return builder_.Constant(name + kind + "." + part, ir::Reshaped(std::move(weight), dims));
    };
    std::vector<ir::Value*> inputs = {x, take(".weight", {context_.facts.hidden_size})};
    if (facts_.query_key_value_have_bias) inputs.push_back(take(".bias", {}));
    return builder_.Qeff(fmt::format("{}/{}_{}", scope_, facts_.names.query, part), "Linear",
                         std::move(inputs));
  }

  QueryKeyValue ProjectFused(ir::Value* x) {
    const FusedQueryKeyValue& fused = facts_.names.fused;
    const int64_t d = context_.facts.hidden_size;
    const int64_t rows = query_size_ + 2 * kv_size_;
    const std::string name = name_ + fused.name;
    ir::WeightPtr weight = facts_.layout == LinearLayout::kOutIn
                               ? builder_.Take(name + ".weight", {rows, d})
                               : ir::Transposed(builder_.Take(name + ".weight", {d, rows}));
    ir::WeightPtr bias =
        facts_.query_key_value_have_bias ? builder_.Take(name + ".bias", {rows}) : nullptr;
    QueryKeyValue result{};
    int64_t begin = 0;  // in the rows of one group
    for (const char part : fused.order) {
      const int64_t size = (part == 'q' ? query_size_ : kv_size_) / fused.groups;
      const auto take = [&](const ir::WeightPtr& source, std::vector<int64_t> tail) {
        std::vector<int64_t> grouped = {fused.groups, rows / fused.groups};
        grouped.insert(grouped.end(), tail.begin(), tail.end());
        ir::WeightPtr taken = ir::Sliced(ir::Reshaped(source, grouped), 1, begin, begin + size);
        tail.insert(tail.begin(), size * fused.groups);
        return ir::Reshaped(std::move(taken), std::move(tail));
      };
      const std::string suffix = fmt::format(".{}", part);
      std::vector<ir::Value*> inputs = {
          x, builder_.Constant(name + ".weight" + suffix, take(weight, {d}))};
      if (bias != nullptr)
        inputs.push_back(builder_.Constant(name + ".bias" + suffix, take(bias, {})));
      ir::Value* projected =
          builder_.Qeff(fmt::format("{}/{}_proj", scope_, part), "Linear", std::move(inputs));
      (part == 'q' ? result.query : part == 'k' ? result.key : result.value) = projected;
      begin += size;
    }
    return result;
  }

  void NormalizeHeads(QueryKeyValue& qkv) {
    qkv.query = NormalizeHeads(qkv.query, "/q_norm", facts_.names.query_norm, facts_.num_heads);
    qkv.key = NormalizeHeads(qkv.key, "/k_norm", facts_.names.key_norm, facts_.num_kv_heads);
  }

  ir::Value* NormalizeHeads(ir::Value* x, const std::string& scope, const std::string& name,
                            int64_t heads) {
    const std::string weight = name_ + name;
    switch (facts_.query_key_norm) {
      case QueryKeyNorm::kNone:
        return x;
      case QueryKeyNorm::kEachHead:
        return AddNorm(builder_, scope_ + scope, facts_.head_norm, weight, x, facts_.head_size,
                       heads);
      case QueryKeyNorm::kAllHeads:
        return AddNorm(builder_, scope_ + scope, facts_.head_norm, weight, x,
                       heads * facts_.head_size);
      case QueryKeyNorm::kEachHeadOwnWeight: {
        NormFacts plain = facts_.head_norm;
        plain.has_weight = false;
        x = AddNorm(builder_, scope_ + scope, plain, weight, x, facts_.head_size, heads);
        return builder_.Onnx(scope_ + scope, "Mul", {x, HeadWeights(weight, heads)});
      }
    }
    QEFF_CHECK(false, "query and key norm");
  }

  /// [heads * E]: stored as one tensor [heads, E], or as one tensor [E] a head.
  ir::Value* HeadWeights(const std::string& name, int64_t heads) {
    const int64_t size = facts_.head_size;
    const std::string whole = name + ".weight";
    if (builder_.Has(whole)) {
      return builder_.Constant(whole,
                               ir::Reshaped(builder_.Take(whole, {heads, size}), {heads * size}));
    }
    std::vector<ir::WeightPtr> parts;
    for (int64_t head = 0; head < heads; ++head)
      parts.push_back(builder_.Take(fmt::format("{}.norms.{}.weight", name, head), {size}));
    return builder_.Constant(whole, ir::Concatenated(std::move(parts), 0));
  }

  ir::Value* Rotate(ir::Value* x, int64_t heads) {
    const RotaryValues& rotary = context_.rotaries[static_cast<size_t>(layer_.rotary)];
    ir::AttributeMap attributes = {{"num_heads", heads}};
    if (facts_.rotation_is_interleaved) attributes["interleaved"] = int64_t{1};
    return builder_.Qeff(scope_, "Rope", {x, rotary.cosine, rotary.sine}, std::move(attributes));
  }

  /// f32 [B, T, 1]; the same for all layers with the same scaling.
  ir::Value* QueryFactors(const QueryScaling& scaling) {
    ir::Value*& made = context_.shared[fmt::format("query factors {} {} {}", scaling.coefficient,
                                                   scaling.period, scaling.offset)];
    if (made != nullptr) return made;
    const std::string scope = "/model/query_scaling";
    const auto op = [&](std::string_view type, std::vector<ir::Value*> inputs) {
      return builder_.Onnx(scope, type, std::move(inputs));
    };
    ir::Value* axes = builder_.Constant("axes", ir::MakeIntVector(std::vector<int64_t>{2}));
    ir::Value* position = builder_.Onnx(
        scope, "Cast", {op("Unsqueeze", {context_.position_ids, axes})}, {{"to", int64_t{1}}});
    // Padding (-1) must not become a logarithm of zero.
    position = op("Max", {position, builder_.Float(0)});
    if (scaling.offset != 0) position = op("Add", {position, builder_.Float(scaling.offset)});
    ir::Value* periods = op("Floor", {op("Div", {position, builder_.Float(scaling.period)})});
    ir::Value* growth = op("Log", {op("Add", {periods, builder_.Float(1)})});
    made = op("Add", {op("Mul", {growth, builder_.Float(scaling.coefficient)}), builder_.Float(1)});
    return made;
  }

  /// [B, T, K * E] -> [B, T, H * E], each head for its group of query heads.
  ir::Value* RepeatHeads(ir::Value* x) {
    const int64_t groups = facts_.num_heads / facts_.num_kv_heads;
    const auto dims = [&](const char* name, std::vector<int64_t> values) {
      return builder_.Constant(name, ir::MakeIntVector(values));
    };
    x = builder_.Onnx(scope_, "Reshape",
                      {x, dims("kv_heads", {0, 0, facts_.num_kv_heads, 1, facts_.head_size})});
    x = builder_.Onnx(scope_, "Expand", {x, dims("kv_groups", {1, 1, 1, groups, 1})});
    return builder_.Onnx(scope_, "Reshape", {x, dims("repeated_heads", {0, 0, query_size_})});
  }

  ir::Value* Attend(const QueryKeyValue& qkv) {
    const float default_scale =
        static_cast<float>(1 / std::sqrt(static_cast<double>(facts_.head_size)));
    const ops::AttentionAttributes attributes = {
        .num_heads = facts_.num_heads,
        .num_kv_heads = facts_.repeats_keys_and_values ? facts_.num_heads : facts_.num_kv_heads,
        .scale = layer_.attention_scale.value_or(facts_.scale.value_or(default_scale)),
        .window_tokens = layer_.window_tokens,
        .chunk_tokens = layer_.chunk_tokens,
        .softcap = facts_.softcap,
        .alibi_slopes = facts_.alibi_slopes,
        .alibi_scale = facts_.alibi_scale,
        .alibi_in_bf16 = facts_.alibi_is_rounded_to_bf16,
        .ring_cache = layer_.has_ring_cache};
    const bool repeats = facts_.repeats_keys_and_values && facts_.num_kv_heads != facts_.num_heads;
    std::vector<ir::Value*> inputs = {
        qkv.query, repeats ? RepeatHeads(qkv.key) : qkv.key,
        repeats ? RepeatHeads(qkv.value) : qkv.value,
        facts_.is_bidirectional ? nullptr : context_.attention_positions};
    if (facts_.has_sinks) {
      inputs.resize(8, nullptr);
      inputs.push_back(builder_.Weight(name_ + facts_.names.sinks, {facts_.num_heads}));
    }
    if (facts_.is_bidirectional) {
      inputs.resize(9, nullptr);
      inputs.push_back(context_.attention_mask);
      const auto bias = context_.shared.find(kSharedBias);
      if (bias != context_.shared.end()) inputs.push_back(bias->second);
    }
    return builder_.Qeff(scope_, "Attention", std::move(inputs), ops::ToAttributeMap(attributes));
  }

  const LayerContext& context_;
  Builder& builder_;
  const AttentionFacts& facts_;
  const LayerFacts& layer_;
  std::string scope_;
  std::string name_;
  int64_t query_size_;
  int64_t kv_size_;
};

}  // namespace

ir::Value* AddAttention(const LayerContext& context, const AttentionFacts& facts, ir::Value* x) {
  return AttentionBuilder(context, facts).Build(x, x);
}

ir::Value* AddAttention(const LayerContext& context, const AttentionFacts& facts, ir::Value* x,
                        ir::Value* key_value_source) {
  QEFF_CHECK(facts.names.fused.name.empty(), "keys and values of another source need own tensors");
  return AttentionBuilder(context, facts).Build(x, key_value_source);
}

std::vector<float> AlibiSlopes(int64_t heads, float max_bias) {
  int64_t power = 1;
  while (2 * power <= heads) power *= 2;
  const auto slope = [max_bias](int64_t index, int64_t count) {
    const float step = static_cast<float>(index) * max_bias / static_cast<float>(count);
    return 1.0F / std::pow(2.0F, step);
  };
  std::vector<float> slopes;
  for (int64_t i = 1; i <= power; ++i) slopes.push_back(slope(i, power));
  for (int64_t i = 1; static_cast<int64_t>(slopes.size()) < heads; i += 2)
    slopes.push_back(slope(i, 2 * power));
  return slopes;
}

}  // namespace qeff::families
