// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/families/blocks/decoder.h"

namespace qeff::families {
namespace {

class DecoderBuilder {
 public:
  DecoderBuilder(const DecoderFacts& facts, const WeightTable& weights)
      : facts_(facts), builder_(weights), prefix_(FindPrefix()) {}

  Result<ir::Graph> Build() && {
    ir::Graph& graph = builder_.graph();
    const ir::Shape tokens = {"batch_size", "seq_len"};
    input_ids_ = graph.AddInput("input_ids", {DType::kI64, tokens});
    if (facts_.task == Task::kCausalLm) {
      position_ids_ = attention_positions_ = graph.AddInput("position_ids", {DType::kI64, tokens});
    } else {
      attention_mask_ = graph.AddInput("attention_mask", {DType::kI64, tokens});
      NumberTokens();
    }
    ir::Value* embedding = EmbeddingWeight();
    ir::Value* x = Embed(embedding);
    for (size_t i = 0; i < facts_.rotaries.size(); ++i)
      rotaries_.push_back(AddRotary(builder_, facts_.rotaries[i], position_ids_, i));
    if (facts_.prepare) x = facts_.prepare(Context(0), x);
    for (size_t layer = 0; layer < facts_.layers.size(); ++layer) x = AddLayer(Context(layer), x);
    const std::string output = facts_.task == Task::kEmbedding ? "output" : "logits";
    graph.AddOutput(output, AddOutput(FinishLayers(x), embedding));
    graph.RenameValue(graph.outputs().back().value, output);
    for (const std::string& ignored : facts_.names.ignored) builder_.IgnorePrefix(ignored);
    return std::move(builder_).Finish();
  }

 private:
  /// A checkpoint of the base model alone has the names without the first part of the prefix.
  std::string FindPrefix() const {
    const std::vector<std::string>& parts = facts_.names.embedding_parts;
    const std::string name = parts.empty() ? facts_.names.embedding + ".weight" : parts[0];
    const std::string& prefix = facts_.names.prefix;
    const std::string bare = prefix.substr(prefix.find('.') + 1);
    return !builder_.Has(prefix + name) && builder_.Has(bare + name) ? bare : prefix;
  }

  LayerContext Context(size_t layer) {
    return {.builder = builder_,
            .facts = facts_,
            .layer = layer,
            .scope = fmt::format("/model/layers.{}", layer),
            .name = fmt::format("{}{}.{}.", prefix_, facts_.names.layers, layer),
            .prefix = prefix_,
            .input_ids = input_ids_,
            .position_ids = position_ids_,
            .attention_positions = attention_positions_,
            .attention_mask = attention_mask_,
            .rotaries = rotaries_,
            .shared = shared_};
  }

  /// Attention gets an order in which padding follows the text, on whichever side it is: no token
  /// sees it, and its own rows are finite.
  void NumberTokens() {
    const std::string scope = "/model/position_ids";
    const auto op = [&](std::string_view type, std::vector<ir::Value*> inputs,
                        ir::AttributeMap attributes = {}) {
      return builder_.Onnx(scope, type, std::move(inputs), std::move(attributes));
    };
    position_ids_ = AddTokenPositions(builder_, input_ids_);
    is_padding_ = op("Equal", {attention_mask_, builder_.Int(0)});
    ir::Value* is_token = op("Cast", {op("Not", {is_padding_})}, {{"to", int64_t{7}}});  // i64
    ir::Value* tokens = op("CumSum", {is_token, builder_.Int(1)});
    ir::Value* axis = builder_.Constant("axes", ir::MakeIntVector({{int64_t{1}}}));
    ir::Value* length = op("ReduceSum", {is_token, axis}, {{"keepdims", int64_t{1}}});
    ir::Value* of_padding = op("Add", {op("Sub", {position_ids_, tokens}), length});
    ir::Value* of_token = op("Sub", {tokens, builder_.Int(1)});
    attention_positions_ = op("Where", {is_padding_, of_padding, of_token});
  }

  int64_t EmbeddingSize() const {
    return facts_.word_embedding_size > 0 ? facts_.word_embedding_size : facts_.hidden_size;
  }
  bool IsProjected() const { return EmbeddingSize() != facts_.hidden_size; }

  ir::Value* EmbeddingWeight() {
    const std::vector<std::string>& parts = facts_.names.embedding_parts;
    if (!parts.empty()) {
      ir::WeightPtr first = builder_.Take(prefix_ + parts[0], {facts_.vocab_size, EmbeddingSize()});
      ir::WeightPtr added =
          builder_.Take(prefix_ + parts[1], {facts_.added_vocab_size, EmbeddingSize()});
      return builder_.Constant(prefix_ + facts_.names.embedding,
                               ir::Concatenated({std::move(first), std::move(added)}, 0));
    }
    const std::string name = prefix_ + facts_.names.embedding + ".weight";
    const std::string head = facts_.names.head + ".weight";
    // A tied pair may be stored under either name.
    const bool only_head = facts_.head_is_tied && !builder_.Has(name) && builder_.Has(head);
    return builder_.Weight(only_head ? head : name, {facts_.vocab_size, EmbeddingSize()});
  }

  ir::Value* Embed(ir::Value* embedding) {
    const std::string scope = "/model/embed_tokens";
    ir::Value* x = builder_.Onnx(scope, "Gather", {embedding, input_ids_}, {{"axis", int64_t{0}}});
    x = AddScale(builder_, scope, x, facts_.embedding_scale);
    if (IsProjected()) {
      x = AddLinear(builder_, "/model/project_in", prefix_ + facts_.names.project_in, x,
                    EmbeddingSize(), facts_.hidden_size, /*has_bias=*/false);
    }
    if (facts_.position_embedding.rows > 0) {
      x = builder_.Onnx("/model/embed_positions", "Add", {x, EmbedPositions()});
    }
    return NormIfNamed("/model/embedding_norm", prefix_ + facts_.names.embedding_norm,
                       facts_.names.embedding_norm, x);
  }

  /// Padding (-1) reads the row of position 0.
  ir::Value* EmbedPositions() {
    const std::string scope = "/model/embed_positions";
    const PositionEmbedding& positions = facts_.position_embedding;
    const std::string name = prefix_ + facts_.names.position_embedding + ".weight";
    ir::WeightPtr table = builder_.Take(name, {positions.rows, facts_.hidden_size});
    table = ir::Sliced(std::move(table), 0, positions.offset, positions.rows);
    ir::Value* places = positions.counts_tokens ? attention_positions_ : position_ids_;
    ir::Value* is_padding = builder_.Onnx(scope, "Less", {places, builder_.Int(0)});
    ir::Value* index = builder_.Onnx(scope, "Where", {is_padding, builder_.Int(0), places});
    return builder_.Onnx(scope, "Gather", {builder_.Constant(name, std::move(table)), index},
                         {{"axis", int64_t{0}}});
  }

  ir::Value* NormIfNamed(const std::string& scope, const std::string& tensor,
                         const std::string& name, ir::Value* x) {
    if (name.empty()) return x;
    return AddNorm(builder_, scope, facts_.norm, tensor, x, facts_.hidden_size);
  }

  ir::Value* LayerNorm(const LayerContext& context, const std::string& name, ir::Value* x) {
    return NormIfNamed(context.scope + "/" + name, context.name + name, name, x);
  }

  ir::Value* AddResidual(const LayerContext& context, ir::Value* x, ir::Value* update) {
    update = AddScale(builder_, context.scope, update, facts_.residual_scale);
    return builder_.Onnx(context.scope, "Add", {x, update});
  }

  ir::Value* Attention(const LayerContext& context, ir::Value* x) {
    const LayerBlock& own = facts_.layers[context.layer].attention;
    x = own ? own(context, x) : AddAttention(context, facts_.attention, x);
    return LayerNorm(context, facts_.names.attention_post_norm, x);
  }

  ir::Value* FeedForward(const LayerContext& context, ir::Value* x) {
    const LayerBlock& own = facts_.layers[context.layer].feed_forward;
    x = own ? own(context, x) : AddMlp(context, facts_.mlp, x);
    return LayerNorm(context, facts_.names.mlp_post_norm, x);
  }

  ir::Value* AddLayer(const LayerContext& context, ir::Value* x) {
    const DecoderNames& names = facts_.names;
    if (facts_.norm_follows_residual) {
      x = AddResidual(context, x, Attention(context, x));
      x = LayerNorm(context, names.attention_norm, x);
      x = AddResidual(context, x, FeedForward(context, x));
      x = LayerNorm(context, names.mlp_norm, x);
    } else if (facts_.is_parallel) {
      ir::Value* n = LayerNorm(context, names.attention_norm, x);
      ir::Value* mixed = Attention(context, n);
      ir::Value* m = names.mlp_norm.empty() ? n : LayerNorm(context, names.mlp_norm, x);
      ir::Value* both = builder_.Onnx(context.scope, "Add", {mixed, FeedForward(context, m)});
      x = AddResidual(context, x, both);
    } else {
      ir::Value* n = LayerNorm(context, names.attention_norm, x);
      x = AddResidual(context, facts_.residual_is_normalized ? n : x, Attention(context, n));
      ir::Value* m = LayerNorm(context, names.mlp_norm, x);
      x = AddResidual(context, facts_.residual_is_normalized ? m : x, FeedForward(context, m));
    }
    const LayerBlock& finish = facts_.layers[context.layer].finish;
    return finish ? finish(context, x) : x;
  }

  ir::Value* FinishLayers(ir::Value* x) {
    x = NormIfNamed("/model/norm", prefix_ + facts_.names.final_norm, facts_.names.final_norm, x);
    if (!IsProjected()) return x;
    return AddLinear(builder_, "/model/project_out", prefix_ + facts_.names.project_out, x,
                     facts_.hidden_size, EmbeddingSize(), /*has_bias=*/false);
  }

  ir::Value* AddOutput(ir::Value* x, ir::Value* embedding) {
    if (facts_.task == Task::kCausalLm) return AddHead(x, embedding);
    // Files of the whole language model, or of a classifier, hold heads that others do not need.
    builder_.IgnorePrefix(facts_.names.head + ".");
    if (facts_.task == Task::kEmbedding) {
      for (const char* head : {"score.", "classifier."}) builder_.IgnorePrefix(head);
      return x;
    }
    for (const char* head : {"score", "classifier"}) builder_.ExplainShape(head, kLabelKeys);
    if (facts_.task == Task::kTokenClassification) {
      return AddLinear(builder_, "/score",
                       builder_.Has("classifier.weight") ? "classifier" : "score", x,
                       EmbeddingSize(), facts_.num_labels, /*has_bias=*/true);
    }
    ir::Value* last = builder_.Qeff("/score", "SelectLastToken", {x, TextPositions()});
    ir::Value* scores = AddLinear(builder_, "/score", "score", last, EmbeddingSize(),
                                  facts_.num_labels, /*has_bias=*/false);
    return AddReshape(builder_, "/score", scores, {0, facts_.num_labels});
  }

  /// The largest is that of the token that a text is classified by.
  ir::Value* TextPositions() {
    ir::Value* is_skipped = is_padding_;
    if (facts_.pad_token_id) {
      // transformers looks at the ids alone: the same, unless padding has another id.
      ir::Value* is_pad_token =
          builder_.Onnx("/score", "Equal", {input_ids_, builder_.Int(*facts_.pad_token_id)});
      is_skipped = builder_.Onnx("/score", "Or", {is_padding_, is_pad_token});
    }
    return builder_.Onnx("/score", "Where", {is_skipped, builder_.Int(0), position_ids_});
  }

  ir::Value* AddHead(ir::Value* x, ir::Value* embedding) {
    const std::string scope = "/lm_head";
    const std::string weight = facts_.names.head + ".weight";
    std::vector<ir::Value*> inputs = {x, embedding};
    if (facts_.head_is_tied) {
      builder_.Ignore(weight);
    } else {
      inputs[1] = builder_.Weight(weight, {facts_.vocab_size, EmbeddingSize()});
    }
    if (facts_.head_has_bias)
      inputs.push_back(builder_.Weight(facts_.names.head + ".bias", {facts_.vocab_size}));
    ir::Value* logits = builder_.Qeff(scope, "Linear", std::move(inputs));
    logits = AddScale(builder_, scope, logits, facts_.logits_scale);
    return AddSoftcap(builder_, scope, logits, facts_.logits_softcap);
  }

  const DecoderFacts& facts_;
  Builder builder_;
  std::string prefix_;
  ir::Value* input_ids_ = nullptr;
  ir::Value* attention_mask_ = nullptr;  // null: padding has negative positions
  ir::Value* position_ids_ = nullptr;    // where rotation and most position embeddings have tokens
  ir::Value* attention_positions_ =
      nullptr;  // where attention, and positions counted from the first token, have them
  ir::Value* is_padding_ = nullptr;  // bool [B, T], with attention_mask_
  std::vector<RotaryValues> rotaries_;
  std::map<std::string, ir::Value*> shared_;
};

}  // namespace

Result<ir::Graph> BuildDecoder(const DecoderFacts& facts, const WeightTable& weights) {
  return DecoderBuilder(facts, weights).Build();
}

}  // namespace qeff::families
