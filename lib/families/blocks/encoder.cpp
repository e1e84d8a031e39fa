// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/families/blocks/encoder.h"

#include <cmath>
#include <utility>

#include "lib/ops/activations.h"
#include "lib/ops/attention.h"

namespace qeff::families {
namespace {

/// Checkpoints that were converted from TensorFlow call the parameters of norms gamma and beta.
WeightTable WithNewNormNames(const WeightTable& table) {
  WeightTable renamed{.path = table.path, .weights = {}, .prefix = table.prefix};
  for (const auto& [name, weight] : table.weights) {
    std::string fixed = name;
    for (const auto& [older, newer] :
         {std::pair<std::string_view, std::string_view>("LayerNorm.gamma", "LayerNorm.weight"),
          std::pair<std::string_view, std::string_view>("LayerNorm.beta", "LayerNorm.bias")}) {
      if (name.ends_with(older))
        fixed = name.substr(0, name.size() - older.size()) + std::string(newer);
    }
    renamed.weights.emplace(std::move(fixed), weight);
  }
  return renamed;
}

class EncoderBuilder {
 public:
  EncoderBuilder(const EncoderFacts& facts, const FamilyInputs& inputs)
      : facts_(facts),
        inputs_(inputs),
        weights_(WithNewNormNames(inputs.weights)),
        builder_(weights_),
        prefix_(FindPrefix()) {}

  Result<ir::Graph> Build() && {
    QEFF_RETURN_IF_ERROR(CheckTask());
    ir::Graph& graph = builder_.graph();
    const ir::Shape tokens = {"batch_size", "seq_len"};
    input_ids_ = graph.AddInput("input_ids", {DType::kI64, tokens});
    attention_mask_ = graph.AddInput("attention_mask", {DType::kI64, tokens});
    ir::Value* x = Embed();
    if (facts_.prepare) x = facts_.prepare(Context(0), x);
    for (size_t layer = 0; layer < facts_.layers.size(); ++layer) x = AddLayer(Context(layer), x);
    if (!facts_.names.final_norm.empty())
      x = Norm("/final_norm", prefix_ + facts_.names.final_norm, x, facts_.hidden_size);
    AddHead(x);
    IgnoreOtherHeads();
    return std::move(builder_).Finish();
  }

 private:
  Status CheckTask() const {
    const EncoderHeads& heads = facts_.heads;
    const bool has_head =
        inputs_.task == Task::kEmbedding ||
        (inputs_.task == Task::kSequenceClassification && !heads.sequence.empty()) ||
        (inputs_.task == Task::kTokenClassification && !heads.token.empty()) ||
        (inputs_.task == Task::kMaskedLm && !heads.masked_lm.decoder.empty());
    if (has_head) return Status::Ok();
    return inputs_.config.ErrorAt(
        ErrorCode::kUnsupported, "architectures",
        fmt::format("this family has no head for the task '{}'", TaskName(inputs_.task)));
  }

  /// A checkpoint of the base model alone has no prefix.
  std::string FindPrefix() const {
    const std::string name = facts_.names.word_embedding + ".weight";
    const std::string own = facts_.names.prefix;
    for (const std::string& prefix : {own, std::string(), std::string("model."), "model." + own}) {
      if (builder_.Has(prefix + name)) return prefix;
    }
    return own;
  }

  EncoderContext Context(size_t layer) {
    return {.builder = builder_,
            .facts = facts_,
            .layer = layer,
            .scope = fmt::format("/encoder/layers.{}", layer),
            .name = facts_.layers.empty() ? prefix_ : prefix_ + facts_.layers[layer].name,
            .prefix = prefix_,
            .input_ids = input_ids_,
            .attention_mask = attention_mask_,
            .shared = shared_};
  }

  ir::Value* Norm(const std::string& scope, const std::string& name, ir::Value* x, int64_t size) {
    return AddNorm(builder_, scope, facts_.norm, name, x, size);
  }

  // --- embeddings

  ir::Value* Look(const std::string& scope, ir::Value* table, ir::Value* rows) {
    return builder_.Onnx(scope, "Gather", {table, rows}, {{"axis", int64_t{0}}});
  }

  ir::Value* Table(const std::string& name, int64_t rows) {
    return builder_.Weight(prefix_ + name + ".weight", {rows, facts_.embedding_size});
  }

  ir::Value* Embed() {
    const std::string scope = "/embeddings";
    const EncoderNames& names = facts_.names;
    ir::Value* x =
        Look(scope + "/word", Table(names.word_embedding, facts_.vocab_size), input_ids_);
    if (facts_.type_vocab_size > 0)
      x = builder_.Onnx(scope, "Add", {x, TokenTypes(scope + "/token_type")});
    if (facts_.positions != PositionRule::kNone)
      x = builder_.Onnx(scope, "Add", {x, Positions(scope + "/position")});
    const bool projects_first = facts_.projection_comes_first;
    if (projects_first) x = Project(scope, x);
    if (!names.embedding_norm.empty())
      x = Norm(scope + "/norm", prefix_ + names.embedding_norm, x,
               projects_first ? facts_.hidden_size : facts_.embedding_size);
    for (const char* buffer : {"embeddings.position_ids", "embeddings.token_type_ids"})
      builder_.Ignore(prefix_ + buffer);
    return projects_first ? x : Project(scope, x);
  }

  ir::Value* Project(const std::string& scope, ir::Value* x) {
    const std::string& name = facts_.names.embedding_projection;
    if (name.empty()) return x;
    return AddLinear(builder_, scope + "/projection", prefix_ + name, x, facts_.embedding_size,
                     facts_.hidden_size, /*has_bias=*/!facts_.projection_comes_first);
  }

  /// f32 [B, T, D], or [D] where all tokens are of kind 0.
  ir::Value* TokenTypes(const std::string& scope) {
    const std::string& name = facts_.names.token_type_embedding;
    if (facts_.type_vocab_size > 1 && !inputs_.strict_contract) {
      ir::Value* kinds = builder_.graph().AddInput(
          "token_type_ids", {DType::kI64, ir::Shape{"batch_size", "seq_len"}});
      return Look(scope, Table(name, facts_.type_vocab_size), kinds);
    }
    ir::WeightPtr table =
        builder_.Take(prefix_ + name + ".weight", {facts_.type_vocab_size, facts_.embedding_size});
    return builder_.Constant(prefix_ + name + ".0",
                             ir::Reshaped(ir::Sliced(table, 0, 0, 1), {facts_.embedding_size}));
  }

  /// f32 [T, D] or [B, T, D].
  ir::Value* Positions(const std::string& scope) {
    ir::Value* table = Table(facts_.names.position_embedding, facts_.position_rows);
    const auto op = [&](std::string_view type, std::vector<ir::Value*> inputs,
                        ir::AttributeMap attributes = {}) {
      return builder_.Onnx(scope, type, std::move(inputs), std::move(attributes));
    };
    if (facts_.positions == PositionRule::kIndex) {
      inputs_.findings.LimitTokens(facts_.position_rows);
      ir::Value* count = op("Gather", {op("Shape", {input_ids_}), builder_.Int(1)});
      return Look(scope, table, op("Range", {builder_.Int(0), count, builder_.Int(1)}));
    }
    inputs_.findings.LimitTokens(facts_.position_rows - facts_.padding_id - 1);
    ir::Value* padding = builder_.Int(facts_.padding_id);
    ir::Value* is_token =
        op("Cast", {op("Not", {op("Equal", {input_ids_, padding})})}, {{"to", int64_t{7}}});  // i64
    ir::Value* counted = op("CumSum", {is_token, builder_.Int(1)});
    return Look(scope, table, op("Add", {op("Mul", {counted, is_token}), padding}));
  }

  // --- layers

  ir::Value* LayerNorm(const EncoderContext& context, const std::string& name, ir::Value* x) {
    return Norm(context.scope + "/" + name, context.name + name, x, facts_.hidden_size);
  }

  ir::Value* Attention(const EncoderContext& context, ir::Value* x) {
    const EncoderBlock& own = facts_.layers[context.layer].attention;
    return own ? own(context, x) : AddEncoderAttention(context, x);
  }

  ir::Value* FeedForward(const EncoderContext& context, ir::Value* x) {
    const EncoderBlock& own = facts_.layers[context.layer].feed_forward;
    if (own) return own(context, x);
    const EncoderNames& names = facts_.names;
    x = AddLinear(builder_, context.scope + "/up", context.name + names.up, x, facts_.hidden_size,
                  facts_.ffn_size, /*has_bias=*/true);
    x = AddActivation(builder_, context.scope, facts_.activation, x);
    return AddLinear(builder_, context.scope + "/down", context.name + names.down, x,
                     facts_.ffn_size, facts_.hidden_size, /*has_bias=*/true);
  }

  ir::Value* Add(const EncoderContext& context, ir::Value* x, ir::Value* update) {
    return builder_.Onnx(context.scope, "Add", {x, update});
  }

  ir::Value* AddLayer(const EncoderContext& context, ir::Value* x) {
    const EncoderNames& names = facts_.names;
    const EncoderLayer& layer = facts_.layers[context.layer];
    const auto norm = [&](const std::string& name, ir::Value* y) {
      return LayerNorm(context, name, y);
    };
    if (facts_.norm_comes_first) {
      ir::Value* seen = layer.has_attention_norm ? norm(names.attention_norm, x) : x;
      x = Add(context, x, Attention(context, seen));
      x = Add(context, x, FeedForward(context, norm(names.mlp_norm, x)));
    } else {
      x = norm(names.attention_norm, Add(context, x, Attention(context, x)));
      x = norm(names.mlp_norm, Add(context, x, FeedForward(context, x)));
    }
    return layer.finish ? layer.finish(context, x) : x;
  }

  // --- heads

  void AddHead(ir::Value* x) {
    switch (inputs_.task) {
      case Task::kEmbedding:
        AddOutput("output", x);
        AddPooler(x);
        return;
      case Task::kSequenceClassification:
        x = facts_.heads.averages_tokens ? MeanOfTokens(x) : FirstToken("/classifier", x);
        AddOutput("logits", LabelLayers(x, facts_.heads.sequence));
        return;
      case Task::kTokenClassification:
        AddOutput("logits", LabelLayers(x, facts_.heads.token));
        return;
      case Task::kMaskedLm:
        AddOutput("logits", PredictTokens(x));
        return;
      case Task::kCausalLm:
        break;
    }
    QEFF_CHECK(false, "an encoder does not generate");
  }

  void AddOutput(const std::string& name, ir::Value* value) {
    builder_.graph().AddOutput(name, value);
    builder_.graph().RenameValue(value, name);
  }

  /// [B, T, D] -> [B, D].
  ir::Value* FirstToken(const std::string& scope, ir::Value* x) {
    return builder_.Onnx(scope, "Gather", {x, builder_.Int(0)}, {{"axis", int64_t{1}}});
  }

  /// Of those that are not padding: [B, T, D] -> [B, D].
  ir::Value* MeanOfTokens(ir::Value* x) {
    const auto op = [&](std::string_view type, std::vector<ir::Value*> inputs,
                        ir::AttributeMap attributes = {}) {
      return builder_.Onnx("/mean", type, std::move(inputs), std::move(attributes));
    };
    const auto sum = [&](ir::Value* value) {
      return op("ReduceSum", {value, builder_.Constant("axes", ir::MakeIntVector({{int64_t{1}}}))},
                {{"keepdims", int64_t{0}}});
    };
    ir::Value* weight = AddTokenWeights(builder_, attention_mask_);
    return op("Div", {sum(op("Mul", {x, weight})), sum(weight)});
  }

  void AddPooler(ir::Value* x) {
    const std::string& name = facts_.names.pooler;
    if (name.empty() || !builder_.Has(prefix_ + name + ".weight")) return;
    const HeadLayer pooler = {.name = name,
                              .is_of_base_model = true,
                              .size = facts_.hidden_size,
                              .activation = facts_.pooler_activation};
    AddOutput("pooler_output", HeadLayers(FirstToken("/pooler", x), {pooler}));
  }

  ir::Value* HeadLayers(ir::Value* x, const std::vector<HeadLayer>& layers) {
    int64_t size = facts_.hidden_size;
    for (const HeadLayer& layer : layers) {
      const std::string scope = "/" + layer.name;
      const std::string name = layer.is_of_base_model ? prefix_ + layer.name : layer.name;
      x = AddLinear(builder_, scope, name, x, size, layer.size, layer.has_bias);
      size = layer.size;
      if (!layer.activation.empty()) x = AddActivation(builder_, scope, layer.activation, x);
      if (!layer.norm.empty()) x = Norm(scope + "/norm", layer.norm, x, size);
    }
    return x;
  }

  ir::Value* LabelLayers(ir::Value* x, const std::vector<HeadLayer>& layers) {
    builder_.ExplainShape(layers.back().name, kLabelKeys);
    return HeadLayers(x, layers);
  }

  /// The bias is stored by its own name or the decoder's: a tied pair under either.
  ir::Value* DecoderBias(const MaskedLmHead& head) {
    const std::string own = head.decoder + ".bias";
    const bool has_shared = !head.bias.empty() && builder_.Has(head.bias);
    const bool uses_own =
        head.bias.empty() || !has_shared || (!head.decoder_is_tied && builder_.Has(own));
    builder_.Ignore(uses_own ? head.bias : own);
    return builder_.Weight(uses_own ? own : head.bias, {facts_.vocab_size});
  }

  ir::Value* PredictTokens(ir::Value* x) {
    const MaskedLmHead& head = facts_.heads.masked_lm;
    x = HeadLayers(x, head.layers);
    const std::string weight = head.decoder + ".weight";
    const std::string embedding = prefix_ + facts_.names.word_embedding + ".weight";
    if (head.decoder_is_tied) builder_.Ignore(weight);
    const std::vector<int64_t> dims = {facts_.vocab_size, facts_.embedding_size};
    ir::Value* decoder = builder_.Weight(head.decoder_is_tied ? embedding : weight, dims);
    std::vector<ir::Value*> inputs = {x, decoder};
    if (head.has_bias) inputs.push_back(DecoderBias(head));
    return builder_.Qeff("/" + head.decoder, "Linear", std::move(inputs));
  }

  /// Checkpoints keep the heads that they were trained with: what stands outside of the base model
  /// and was not needed. So does the pooler where the head has no use for it.
  void IgnoreOtherHeads() {
    if (!facts_.names.pooler.empty()) builder_.IgnorePrefix(prefix_ + facts_.names.pooler);
    if (prefix_.empty()) return;
    for (const auto& [name, weight] : weights_.weights) {
      if (!name.starts_with(prefix_)) builder_.Ignore(name);
    }
  }

  const EncoderFacts& facts_;
  const FamilyInputs& inputs_;
  WeightTable weights_;
  Builder builder_;
  std::string prefix_;
  ir::Value* input_ids_ = nullptr;
  ir::Value* attention_mask_ = nullptr;
  std::map<std::string, ir::Value*> shared_;
};

}  // namespace

ir::Value* AddEncoderAttention(const EncoderContext& context, ir::Value* x) {
  const EncoderFacts& facts = context.facts;
  const std::string scope = context.scope + "/attention";
  const int64_t size = facts.hidden_size;
  const auto project = [&](const char* part, const std::string& name, ir::Value* source) {
    return AddLinear(context.builder, scope + part, context.name + name, source, size, size,
                     /*has_bias=*/true);
  };
  ir::Value* query = project("/query", facts.names.query, x);
  ir::Value* key = project("/key", facts.names.key, x);
  ir::Value* value = project("/value", facts.names.value, x);
  const double head_size = static_cast<double>(size) / static_cast<double>(facts.num_heads);
  const ops::AttentionAttributes attributes = {
      .num_heads = facts.num_heads,
      .num_kv_heads = facts.num_heads,
      .scale = static_cast<float>(1 / std::sqrt(head_size)),
      .window_tokens = facts.layers[context.layer].window_tokens};
  ir::Value* mixed = AddMaskedAttention(context, {query, key, value}, attributes);
  return project("/output", facts.names.attention_output, mixed);
}

ir::Value* AddMaskedAttention(const EncoderContext& context, const EncoderQueryKeyValue& qkv,
                              const ops::AttentionAttributes& attributes) {
  std::vector<ir::Value*> inputs(9, nullptr);
  inputs[0] = qkv.query;
  inputs[1] = qkv.key;
  inputs[2] = qkv.value;
  inputs.push_back(context.attention_mask);
  const auto bias = context.shared.find(kSharedBias);
  if (bias != context.shared.end()) inputs.push_back(bias->second);
  return context.builder.Qeff(context.scope + "/attention", "Attention", std::move(inputs),
                              ops::ToAttributeMap(attributes));
}

Result<ir::Graph> BuildEncoder(const EncoderFacts& facts, const FamilyInputs& inputs) {
  return EncoderBuilder(facts, inputs).Build();
}

}  // namespace qeff::families
