// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The causal decoder that all text families share: token embedding, layers of attention and a
// feed-forward block, a final norm and a head. A family states its facts; what the facts mean is
// here and in attention.h and mlp.h, once. Where a family's mathematics is its own, it hands in a
// block (LayerBlock).
//
//   x = embed_tokens[input_ids] * embedding_scale (+ position embedding)
//   each layer:  x = x + r * post_norm(attention(norm(x)));  x = x + r * post_norm(mlp(norm(x)))
//   parallel:    x = x + r * (attention(norm(x)) + mlp(norm(x)))
//   logits = softcap(lm_head(norm(x)) * logits_scale)
//
// As an embedder it gives norm(x); as a classifier of texts score(norm(x)) of the last token that
// neither padding nor pad_token_id; as a classifier of tokens score(norm(x)) of each.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lib/families/blocks/attention.h"
#include "lib/families/blocks/builder.h"
#include "lib/families/blocks/layer.h"
#include "lib/families/blocks/mlp.h"
#include "lib/families/blocks/rotary.h"
#include "lib/families/task.h"

namespace qeff::families {

/// Part of a layer: x [B, T, D] -> [B, T, D].
using LayerBlock = std::function<ir::Value*(const LayerContext&, ir::Value* x)>;

/// What differs from layer to layer.
struct LayerFacts {
  /// A query sees the last w tokens, itself included; 0: all earlier ones.
  int64_t window_tokens = 0;
  /// A query sees the tokens of its own chunk: positions from p - p mod c on; 0: no chunks.
  int64_t chunk_tokens = 0;
  /// With a cache of window_tokens slots instead of the whole context: calls of several tokens
  /// beyond the window lose keys, as in the original exporter's files.
  bool has_ring_cache = false;
  int rotary = 0;                        ///< index in DecoderFacts::rotaries; -1: no rotation
  std::optional<float> attention_scale;  ///< instead of AttentionFacts::scale
  std::optional<QueryScaling> query_scaling;
  LayerBlock attention;     ///< instead of AddAttention; gets the normalized x
  LayerBlock feed_forward;  ///< instead of AddMlp; gets the normalized x
  LayerBlock finish;        ///< applied to the layer's result
};

/// Names of tensors, below the prefixes. An empty name of a norm: the decoder has no such norm.
struct DecoderNames {
  /// Of everything but the head. A checkpoint of the base model alone has none.
  std::string prefix = "model.";
  std::string embedding = "embed_tokens";
  /// Tensors whose rows, one after the other, are the embedding: of vocab_size and of
  /// added_vocab_size ids. Empty: `embedding`.weight holds all.
  std::vector<std::string> embedding_parts;
  std::string position_embedding = "embed_positions";
  std::string embedding_norm;
  std::string project_in = "project_in";  ///< if word_embedding_size is not hidden_size
  std::string project_out = "project_out";
  std::string layers = "layers";
  std::string attention_norm = "input_layernorm";
  std::string attention_post_norm;
  /// Empty in a parallel layer: the norm of the attention serves both.
  std::string mlp_norm = "post_attention_layernorm";
  std::string mlp_post_norm;
  std::string final_norm = "norm";
  std::string head = "lm_head";
  /// Tensors that start so belong to parts of the model that the text does not need (heads that
  /// predict later tokens); whole names, prefix included.
  std::vector<std::string> ignored;
};

/// Learned positions: x += table[position + offset].
struct PositionEmbedding {
  int64_t rows = 0;  ///< of the stored table; 0: there are none
  int64_t offset = 0;
  bool counts_tokens = false;  ///< padding on the left moves no token; else rows are by index
};

struct DecoderFacts {
  DecoderNames names;
  int64_t vocab_size = 0;           ///< V
  int64_t added_vocab_size = 0;     ///< ids from V on: they can be read, and have no logits
  int64_t hidden_size = 0;          ///< D
  int64_t word_embedding_size = 0;  ///< 0: hidden_size
  NormFacts norm;                   ///< of all norms but those of query and key
  AttentionFacts attention;
  MlpFacts mlp;
  std::vector<RotaryFacts> rotaries;
  std::vector<LayerFacts> layers;
  PositionEmbedding position_embedding;

  bool is_parallel = false;            ///< attention and mlp add to the same x
  bool norm_follows_residual = false;  ///< x = norm(x + attention(x)); x = norm(x + mlp(x))
  /// n = norm(x); x = n + attention(n); m = norm(x); x = m + mlp(m)
  bool residual_is_normalized = false;
  float embedding_scale = 1;
  float residual_scale = 1;
  float logits_scale = 1;
  float logits_softcap = 0;   ///< 0: none
  bool head_is_tied = false;  ///< the head's weight is the embedding's
  bool head_has_bias = false;

  Task task = Task::kCausalLm;
  int64_t num_labels = 0;               ///< of classifiers
  std::optional<int64_t> pad_token_id;  ///< of classifiers; padding is skipped in any case

  /// Called with the embedded tokens before the first layer; may replace them and leave values in
  /// LayerContext::shared.
  LayerBlock prepare;
};

/// Returns the graph in semantic ops, without any cache: inputs input_ids and position_ids i64
/// [batch_size, seq_len], output logits f32 [batch_size, seq_len, V]. The graphs of the other tasks
/// have attention_mask (1: token, 0: padding, on either side) instead of position_ids, tokens stand
/// at 0 .. seq_len - 1, and the output is that of the task. Tensor names as in hub checkpoints
/// ("model.layers.0.self_attn.q_proj.weight"; also without "model.", as the base model alone is
/// saved).
/// Errors: kInvalidInput with every missing, wrong or left-over tensor; kUnsupported (kMaskedLm).
Result<ir::Graph> BuildDecoder(const DecoderFacts& facts, const WeightTable& weights);

}  // namespace qeff::families
