// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/families/blocks/decoder.h"

#include <cmath>

namespace qeff::families {
namespace {

class DecoderBuilder {
 public:
  DecoderBuilder(const DecoderFacts& facts, const WeightTable& weights)
      : facts_(facts),
        builder_(weights),
        // A checkpoint of the base model alone has the names without "model.".
        prefix_(!builder_.Has("model.norm.weight") && builder_.Has("norm.weight") ? "" : "model.") {
  }

  Result<ir::Graph> Build() && {
    ir::Graph& graph = builder_.graph();
    const ir::Shape tokens = {"batch_size", "seq_len"};
    ir::Value* input_ids = graph.AddInput("input_ids", {DType::kI64, tokens});
    position_ids_ = graph.AddInput("position_ids", {DType::kI64, tokens});
    ir::Value* embedding = EmbeddingWeight();
    ir::Value* x = builder_.Onnx("/model/embed_tokens", "Gather", {embedding, input_ids},
                                 {{"axis", int64_t{0}}});
    rotary_ = AddRotary(builder_, facts_.rotary, position_ids_);
    for (size_t layer = 0; layer < facts_.layers.size(); ++layer) x = AddLayer(x, layer);
    x = Norm("/model/norm", x, prefix_ + "norm.weight", facts_.hidden_size);
    ir::Value* head = HeadWeight(embedding);
    graph.AddOutput("logits", builder_.Qeff("/lm_head", "Linear", {x, head}));
    graph.RenameValue(graph.outputs().back().value, "logits");
    return std::move(builder_).Finish();
  }

 private:
  ir::Value* EmbeddingWeight() {
    const std::string name = prefix_ + "embed_tokens.weight";
    // A tied pair may be stored under either name.
    const bool only_head =
        facts_.head_is_tied && !builder_.Has(name) && builder_.Has("lm_head.weight");
    return builder_.Weight(only_head ? "lm_head.weight" : name,
                           {facts_.vocab_size, facts_.hidden_size});
  }

  ir::Value* HeadWeight(ir::Value* embedding) {
    if (!facts_.head_is_tied)
      return builder_.Weight("lm_head.weight", {facts_.vocab_size, facts_.hidden_size});
    builder_.Ignore("lm_head.weight");
    return embedding;
  }

  ir::Value* Norm(const std::string& scope, ir::Value* x, const std::string& weight, int64_t size,
                  int64_t groups = 1) {
    ir::AttributeMap attributes = {{"epsilon", facts_.norm_epsilon}};
    if (groups > 1) attributes["num_groups"] = groups;
    return builder_.Qeff(scope, "RmsNorm", {x, builder_.Weight(weight, {size})},
                         std::move(attributes));
  }

  ir::Value* Linear(const std::string& scope, ir::Value* x, const std::string& name, int64_t in,
                    int64_t out, bool bias) {
    std::vector<ir::Value*> inputs = {x, builder_.Weight(name + ".weight", {out, in})};
    if (bias) inputs.push_back(builder_.Weight(name + ".bias", {out}));
    return builder_.Qeff(scope, "Linear", std::move(inputs));
  }

  ir::Value* AddLayer(ir::Value* x, size_t layer) {
    const std::string scope = fmt::format("/model/layers.{}", layer);
    const std::string name = fmt::format("{}layers.{}.", prefix_, layer);
    ir::Value* n =
        Norm(scope + "/input_layernorm", x, name + "input_layernorm.weight", facts_.hidden_size);
    x = builder_.Onnx(
        scope, "Add",
        {x, AddAttention(n, scope + "/self_attn", name + "self_attn.", facts_.layers[layer])});
    n = Norm(scope + "/post_attention_layernorm", x, name + "post_attention_layernorm.weight",
             facts_.hidden_size);
    return builder_.Onnx(scope, "Add", {x, AddMlp(n, scope + "/mlp", name + "mlp.")});
  }

  ir::Value* AddAttention(ir::Value* x, const std::string& scope, const std::string& name,
                          const LayerFacts& layer) {
    const int64_t query_size = facts_.num_heads * facts_.head_size;
    const int64_t kv_size = facts_.num_kv_heads * facts_.head_size;
    const bool bias = facts_.query_key_value_have_bias;
    ir::Value* q =
        Linear(scope + "/q_proj", x, name + "q_proj", facts_.hidden_size, query_size, bias);
    ir::Value* k = Linear(scope + "/k_proj", x, name + "k_proj", facts_.hidden_size, kv_size, bias);
    ir::Value* v = Linear(scope + "/v_proj", x, name + "v_proj", facts_.hidden_size, kv_size, bias);
    if (facts_.query_and_key_are_normalized) {
      q = Norm(scope + "/q_norm", q, name + "q_norm.weight", facts_.head_size, facts_.num_heads);
      k = Norm(scope + "/k_norm", k, name + "k_norm.weight", facts_.head_size, facts_.num_kv_heads);
    }
    const auto rope = [&](ir::Value* heads, int64_t count) {
      return builder_.Qeff(scope, "Rope", {heads, rotary_.cosine, rotary_.sine},
                           {{"num_heads", count}});
    };
    q = rope(q, facts_.num_heads);
    k = rope(k, facts_.num_kv_heads);
    ir::AttributeMap attributes = {
        {"num_heads", facts_.num_heads},
        {"num_kv_heads", facts_.num_kv_heads},
        {"scale", static_cast<float>(1 / std::sqrt(static_cast<double>(facts_.head_size)))}};
    if (layer.window_tokens > 0) attributes["window_tokens"] = layer.window_tokens;
    ir::Value* mixed =
        builder_.Qeff(scope, "Attention", {q, k, v, position_ids_}, std::move(attributes));
    return Linear(scope + "/o_proj", mixed, name + "o_proj", query_size, facts_.hidden_size,
                  facts_.attention_output_has_bias);
  }

  ir::Value* AddMlp(ir::Value* x, const std::string& scope, const std::string& name) {
    const int64_t d = facts_.hidden_size;
    const int64_t f = facts_.ffn_size;
    std::vector<ir::Value*> inputs = {x, builder_.Weight(name + "gate_proj.weight", {f, d}),
                                      builder_.Weight(name + "up_proj.weight", {f, d}),
                                      builder_.Weight(name + "down_proj.weight", {d, f})};
    if (facts_.mlp_has_bias) {
      inputs.insert(inputs.end(), {builder_.Weight(name + "gate_proj.bias", {f}),
                                   builder_.Weight(name + "up_proj.bias", {f}),
                                   builder_.Weight(name + "down_proj.bias", {d})});
    }
    return builder_.Qeff(scope, "GatedMlp", std::move(inputs), {{"activation", facts_.activation}});
  }

  const DecoderFacts& facts_;
  Builder builder_;
  std::string prefix_;
  ir::Value* position_ids_ = nullptr;
  RotaryValues rotary_;
};

}  // namespace

Result<ir::Graph> BuildDecoder(const DecoderFacts& facts, const WeightTable& weights) {
  return DecoderBuilder(facts, weights).Build();
}

}  // namespace qeff::families
