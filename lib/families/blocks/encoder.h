// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The bidirectional encoder that BERT and its kin share, and the heads on top of it. A family
// states its facts; what they mean is here, once. Where a family's mathematics is its own, it
// hands in a block (EncoderBlock).
//
//   x = norm(word[input_ids] + type[token_type_ids] + position), projected to D if it is narrower
//   each layer:     x = norm(x + attention(x));  x = norm(x + mlp(x))
//   norms first:    x = x + attention(norm(x));  x = x + mlp(norm(x))
//   base model:     output = x, pooler_output = tanh(pooler(x[0]))
//   heads:          logits = last(... activation(dense(x or x[0])))
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "lib/families/blocks/builder.h"
#include "lib/families/blocks/layer.h"
#include "lib/families/family.h"
#include "lib/ops/attention.h"

namespace qeff::families {

struct EncoderFacts;

/// The layer that a block is built for. Blocks take and give f32 [B, T, channels].
struct EncoderContext {
  Builder& builder;
  const EncoderFacts& facts;
  size_t layer = 0;
  std::string scope;                    ///< of nodes, "/encoder/layers.0"
  std::string name;                     ///< of tensors, "bert.encoder.layer.0."
  std::string prefix;                   ///< of tensors outside the layers, "bert."
  ir::Value* input_ids = nullptr;       ///< i64 [B, T]
  ir::Value* attention_mask = nullptr;  ///< i64 [B, T], 0 for padding
  /// What the family leaves for all layers, by a name that it chooses.
  std::map<std::string, ir::Value*>& shared;
};

/// Part of a layer, or what is done before the layers: x [B, T, D] -> [B, T, D].
using EncoderBlock = std::function<ir::Value*(const EncoderContext&, ir::Value* x)>;

/// What differs from layer to layer.
struct EncoderLayer {
  /// Tensors of the layer, below the prefix: "encoder.layer.0.". Several layers may share them.
  std::string name;
  int64_t window_tokens = 0;  ///< a token sees those nearer than this, on both sides; 0: all
  bool has_attention_norm = true;
  EncoderBlock attention;     ///< instead of AddEncoderAttention
  EncoderBlock feed_forward;  ///< instead of up, activation, down
  EncoderBlock finish;        ///< applied to the layer's result
};

/// Names of tensors: below the prefix, then below a layer's name. Empty: there is no such tensor.
struct EncoderNames {
  /// Of the base model in checkpoints with a head ("bert."); those of the base model alone have
  /// none, or "model.".
  std::string prefix;
  std::string word_embedding = "embeddings.word_embeddings";
  std::string position_embedding = "embeddings.position_embeddings";
  std::string token_type_embedding = "embeddings.token_type_embeddings";
  std::string embedding_norm = "embeddings.LayerNorm";
  std::string embedding_projection;
  std::string final_norm;
  std::string pooler = "pooler.dense";

  std::string query = "attention.self.query";
  std::string key = "attention.self.key";
  std::string value = "attention.self.value";
  std::string attention_output = "attention.output.dense";
  std::string attention_norm = "attention.output.LayerNorm";
  std::string up = "intermediate.dense";
  std::string down = "output.dense";
  std::string mlp_norm = "output.LayerNorm";
};

/// Which row of the position table a token adds.
enum class PositionRule {
  kNone,   ///< there is no table
  kIndex,  ///< its index in the call
  /// RoBERTa: padding_id + how many ids up to here are not padding_id; padding_id for those that
  /// are.
  kCountOfTokens,
};

/// One linear layer of a head: x = norm(activation(x * weight + bias)).
struct HeadLayer {
  std::string name;               ///< of the tensors
  bool is_of_base_model = false;  ///< the name stands below the prefix
  int64_t size = 0;               ///< of its result
  std::string activation;         ///< empty: none
  std::string norm;               ///< tensors of a norm after the activation; empty: none
  bool has_bias = true;
};

/// A head that predicts ids: `layers`, then the embedding (if tied) or `decoder`, plus a bias.
struct MaskedLmHead {
  std::vector<HeadLayer> layers;
  std::string decoder;  ///< tensors "<decoder>.weight", "<decoder>.bias"
  std::string bias;     ///< tensor of the bias where files of tied heads have it
  bool decoder_is_tied = true;
  bool has_bias = true;
};

/// What each class of transformers puts on top of the encoder; empty: it has no such class.
struct EncoderHeads {
  std::vector<HeadLayer> sequence;  ///< on the first token
  bool averages_tokens = false;     ///< `sequence` on the mean of all tokens instead
  std::vector<HeadLayer> token;     ///< on every token
  MaskedLmHead masked_lm;
};

struct EncoderFacts {
  EncoderNames names;
  int64_t vocab_size = 0;       ///< V
  int64_t hidden_size = 0;      ///< D
  int64_t embedding_size = 0;   ///< of tables and their norm
  int64_t type_vocab_size = 0;  ///< kinds of segments; 0: there is no table
  PositionRule positions = PositionRule::kIndex;
  int64_t position_rows = 0;  ///< of the table
  int64_t padding_id = 0;     ///< of kCountOfTokens
  NormFacts norm;
  bool norm_comes_first = false;
  /// The embedding is projected before its norm, without a bias; else after, with one.
  bool projection_comes_first = false;
  int64_t num_heads = 0;  ///< H, divides D
  int64_t ffn_size = 0;   ///< F
  std::string activation;
  std::vector<EncoderLayer> layers;
  std::string pooler_activation = "tanh";
  EncoderHeads heads;

  /// Called with the embedded tokens before the first layer; may replace them and leave values in
  /// EncoderContext::shared. "bias" there is added to the scores of all layers.
  EncoderBlock prepare;
};

/// Attention of a layer: projections, qeff.Attention with the layer's window, the mask and the
/// shared bias, output projection.
ir::Value* AddEncoderAttention(const EncoderContext& context, ir::Value* x);

/// Its middle, for families with projections of their own: q, k, v f32 [B, T, heads * E] -> f32
/// [B, T, heads * E], with the mask and the shared bias. Bidirectional.
struct EncoderQueryKeyValue {
  ir::Value* query;
  ir::Value* key;
  ir::Value* value;
};
ir::Value* AddMaskedAttention(const EncoderContext& context, const EncoderQueryKeyValue& qkv,
                              const ops::AttentionAttributes& attributes);

/// Returns the graph in semantic ops. Inputs input_ids, attention_mask (1 token, 0 padding) and,
/// if there are kinds of segments to tell apart, token_type_ids, i64 [batch_size, seq_len]; without
/// the last one with a strict contract: all tokens are of kind 0, as in the original exporter's
/// files. Outputs by task: output f32 [batch_size, seq_len, D] and, if the checkpoint has a pooler,
/// pooler_output [batch_size, D]; or logits [batch_size, labels], [batch_size, seq_len, labels] or
/// [batch_size, seq_len, V].
/// Errors: kInvalidInput with every missing, wrong or left-over tensor (of other heads none is left
/// over); kUnsupported for a task that the family has no head for.
Result<ir::Graph> BuildEncoder(const EncoderFacts& facts, const FamilyInputs& inputs);

}  // namespace qeff::families
