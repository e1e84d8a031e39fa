// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/families/blocks/disentangled_attention.h"

#include <cmath>
#include <limits>

#include "lib/ops/attention.h"

namespace qeff::families {
namespace {

constexpr const char* kTable = "distances";
constexpr const char* kContentRows = "rows of content to position";
constexpr const char* kPositionRows = "rows of position to content";

ir::Value* Transposed(Builder& builder, const std::string& scope, ir::Value* x,
                      std::vector<int64_t> axes) {
  return builder.Onnx(scope, "Transpose", {x}, {{"perm", std::move(axes)}});
}

class Disentangled {
 public:
  Disentangled(const EncoderContext& context, const DisentangledFacts& facts)
      : context_(context),
        facts_(facts),
        builder_(context.builder),
        names_(context.facts.names),
        scope_(context.scope + "/attention"),
        size_(context.facts.hidden_size),
        heads_(context.facts.num_heads),
        head_size_(size_ / heads_),
        scale_(static_cast<float>(
            1 / std::sqrt(static_cast<double>(head_size_ * (1 + facts.kinds))))) {}

  ir::Value* Build(ir::Value* x) {
    ir::Value* query = Project("/query", names_.query, x);
    ir::Value* key = Project("/key", names_.key, x);
    ir::Value* value = Project("/value", names_.value, x);
    const ops::AttentionAttributes attributes = {
        .num_heads = heads_, .num_kv_heads = heads_, .scale = scale_};
    if (ir::Value* bias = Bias(query, key)) context_.shared[kSharedBias] = bias;
    ir::Value* mixed = AddMaskedAttention(context_, {query, key, value}, attributes);
    return Project("/output", names_.attention_output, mixed);
  }

 private:
  ir::Value* Project(const std::string& scope, const std::string& name, ir::Value* x) {
    return AddLinear(builder_, scope_ + scope, context_.name + name, x, size_, size_,
                     /*has_bias=*/true);
  }

  /// f32 [2 span, D]; `own` is the projection's name where it is not shared.
  ir::Value* ProjectDistances(const std::string& scope, const std::string& shared,
                              const std::string& own) {
    return Project(scope, facts_.shares_projections ? shared : "attention.self." + own,
                   context_.shared.at(kTable));
  }

  ir::Value* Scores(ir::Value* x, ir::Value* table, const char* rows) {
    return AddDistanceScores(builder_, scope_, x, table, context_.shared.at(rows), heads_,
                             head_size_);
  }

  ir::Value* Bias(ir::Value* query, ir::Value* key) {
    ir::Value* bias = nullptr;
    if (facts_.content_to_position) {
      ir::Value* table = ProjectDistances("/position_key", names_.key, "pos_key_proj");
      bias = Scores(query, table, kContentRows);
    }
    if (facts_.position_to_content) {
      ir::Value* table = ProjectDistances("/position_query", names_.query, "pos_query_proj");
      ir::Value* scores = Scores(key, table, kPositionRows);  // [B, H, key, query]
      scores = Transposed(builder_, scope_, scores, {0, 1, 3, 2});
      bias = bias == nullptr ? scores : builder_.Onnx(scope_, "Add", {bias, scores});
    }
    return bias == nullptr ? nullptr : AddScale(builder_, scope_, bias, scale_);
  }

  const EncoderContext& context_;
  const DisentangledFacts& facts_;
  Builder& builder_;
  const EncoderNames& names_;
  std::string scope_;
  int64_t size_;
  int64_t heads_;
  int64_t head_size_;
  float scale_;
};

/// source [B, T, D] -> [B, T, D]: a linear layer of `width` neighbouring tokens side by side.
ir::Value* Convolve(const EncoderContext& context, const TokenConvolution& facts,
                    const std::string& scope, ir::Value* source) {
  Builder& builder = context.builder;
  const int64_t d = context.facts.hidden_size;
  const int64_t group = d / facts.groups;
  const std::string name = context.prefix + "encoder.conv.conv";
  // [out, in, width] -> [out, width * in], in the order of the tokens
  const ir::WeightPtr weight = ir::Reshaped(
      ir::Transposed(builder.Take(name + ".weight", {d, group, facts.width}), {0, 2, 1}),
      {d, facts.width * group});
  const ir::WeightPtr bias = builder.Take(name + ".bias", {d});
  const int64_t reach = facts.width / 2;
  ir::Value* pads =
      builder.Constant("pads", ir::MakeIntVector(std::vector<int64_t>{0, reach, 0, 0, reach, 0}));
  ir::Value* padded = builder.Onnx(scope, "Pad", {source, pads});
  std::vector<ir::Value*> neighbours;
  for (int64_t shift = 0; shift < facts.width; ++shift) {
    const int64_t behind = shift - 2 * reach;
    neighbours.push_back(AddSlice(builder, scope, padded, 1, shift,
                                  behind < 0 ? behind : std::numeric_limits<int64_t>::max()));
  }
  std::vector<ir::Value*> outputs;
  for (int64_t i = 0; i < facts.groups; ++i) {
    std::vector<ir::Value*> seen;
    for (ir::Value* neighbour : neighbours) {
      seen.push_back(facts.groups == 1
                         ? neighbour
                         : AddSlice(builder, scope, neighbour, 2, i * group, (i + 1) * group));
    }
    ir::Value* side_by_side = builder.Onnx(scope, "Concat", seen, {{"axis", int64_t{2}}});
    const auto rows = [&](const char* part, const ir::WeightPtr& whole) {
      return builder.Constant(fmt::format("{}.{}.{}", name, part, i),
                              ir::Sliced(whole, 0, i * group, (i + 1) * group));
    };
    outputs.push_back(
        builder.Qeff(scope, "Linear", {side_by_side, rows("weight", weight), rows("bias", bias)}));
  }
  return outputs.size() == 1 ? outputs[0]
                             : builder.Onnx(scope, "Concat", outputs, {{"axis", int64_t{2}}});
}

}  // namespace

void PrepareDisentangledAttention(const EncoderContext& context, const DisentangledFacts& facts) {
  Builder& builder = context.builder;
  const std::string scope = "/encoder/distances";
  const std::string prefix = context.prefix + "encoder.";
  if (!facts.content_to_position && !facts.position_to_content) {
    for (const char* name : {"rel_embeddings.", "LayerNorm."}) builder.IgnorePrefix(prefix + name);
    return;
  }
  const int64_t size = context.facts.hidden_size;
  ir::Value* table = builder.Weight(prefix + "rel_embeddings.weight", {2 * facts.span, size});
  if (facts.table_is_normalized)
    table = AddNorm(builder, scope, context.facts.norm, prefix + "LayerNorm", table, size);
  context.shared[kTable] = table;
  // At [i, j] the distance of a key j from a query i, and of a query j from a key i.
  ir::Value* rows = AddDistanceRows(builder, scope, context.input_ids, facts.rows);
  context.shared[kPositionRows] = rows;
  context.shared[kContentRows] = Transposed(builder, scope, rows, {1, 0});
}

ir::Value* AddDisentangledAttention(const EncoderContext& context, const DisentangledFacts& facts,
                                    ir::Value* x) {
  return Disentangled(context, facts).Build(x);
}

ir::Value* AddTokenConvolution(const EncoderContext& context, const TokenConvolution& facts,
                               ir::Value* source, ir::Value* x) {
  Builder& builder = context.builder;
  const std::string scope = "/encoder/conv";
  ir::Value* convolved =
      AddActivation(builder, scope, facts.activation, Convolve(context, facts, scope, source));
  ir::Value* sum = builder.Onnx(scope, "Add", {x, convolved});
  ir::Value* normalized =
      AddNorm(builder, scope + "/norm", context.facts.norm,
              context.prefix + "encoder.conv.LayerNorm", sum, context.facts.hidden_size);
  return builder.Onnx(scope, "Mul", {normalized, AddTokenWeights(builder, context.attention_mask)});
}

}  // namespace qeff::families
