// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Multi-head attention of a decoder layer: projections, normalization and rotation of query and
// key, qeff.Attention, output projection. A family states its facts; layers that compute something
// else bring a block of their own (LayerFacts::attention).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/families/blocks/layer.h"

namespace qeff::families {

/// One tensor for query, key and value: `groups` equal groups of rows, each with its share of the
/// heads of query, key and value in the given order. One group: [all q | all k | all v]. As many
/// groups as heads: [q | k | v] head by head.
struct FusedQueryKeyValue {
  std::string name;  ///< empty: query, key and value have tensors of their own
  int64_t groups = 1;
  std::string order = "qkv";  ///< "qkv" or "qvk"
};

/// Whose channels the norms of query and key run over.
enum class QueryKeyNorm {
  kNone,
  kEachHead,           ///< each head alone, one weight [E] for all heads
  kEachHeadOwnWeight,  ///< each head alone, a weight of its own: [heads, E]
  kAllHeads,           ///< all heads together, weight [heads * E]
};

struct AttentionNames {
  std::string prefix = "self_attn.";
  std::string query = "q_proj";
  std::string key = "k_proj";
  std::string value = "v_proj";
  FusedQueryKeyValue fused;
  std::string output = "o_proj";
  std::string query_norm = "q_norm";
  std::string key_norm = "k_norm";
  std::string sinks = "sinks";
};

struct AttentionFacts {
  AttentionNames names;
  int64_t num_heads = 0;       ///< H
  int64_t num_kv_heads = 0;    ///< K, divides H
  int64_t head_size = 0;       ///< E
  std::optional<float> scale;  ///< of the scores; 1 / sqrt(E) if not set
  float softcap = 0;           ///< scores = softcap * tanh(scores / softcap); 0: none
  float clip = 0;  ///< q, k and v are clamped to [-clip, clip] before the rotation; 0: not
  bool query_key_value_have_bias = false;
  bool output_has_bias = false;
  /// The query's tensor holds [query | gate] head by head; o_proj gets the result times
  /// sigmoid(gate).
  bool output_is_gated = false;
  /// Keys and values are repeated for all query heads before the cache, as the original exporter
  /// does for some families: same numbers, larger cache.
  bool repeats_keys_and_values = false;
  /// Tokens also see later ones, the window reaches both ways: for tasks with an attention_mask.
  bool is_bidirectional = false;
  bool has_sinks = false;  ///< tensor [H]: a score that takes part in the softmax and has no value
  LinearLayout layout = LinearLayout::kOutIn;

  QueryKeyNorm query_key_norm = QueryKeyNorm::kNone;
  NormFacts head_norm;  ///< of the norms of query and key
  bool norm_follows_rotation = false;
  bool rotation_is_interleaved = false;  ///< pairs (2i, 2i + 1) instead of (i, i + R / 2)

  /// ALiBi: score += alibi_scale * slope[h] * key position; empty: none.
  std::vector<float> alibi_slopes;
  float alibi_scale = 1;
  bool alibi_is_rounded_to_bf16 = false;  ///< position and slope * position, before alibi_scale
};

/// Factor of the query at position p: 1 + coefficient * ln(1 + floor((p + offset) / period)).
struct QueryScaling {
  float coefficient = 0;
  float period = 1;
  float offset = 0;
};

/// x [B, T, D] -> [B, T, D]. The layer's window, chunk, rotation and query scaling are those of
/// LayerFacts.
ir::Value* AddAttention(const LayerContext& context, const AttentionFacts& facts, ir::Value* x);
/// As above, with keys and values of the tokens of `key_value_source` [B, T, D] instead of x.
/// Needs projections that are not fused.
ir::Value* AddAttention(const LayerContext& context, const AttentionFacts& facts, ir::Value* x,
                        ir::Value* key_value_source);

/// Slopes of ALiBi for `heads` heads: 2^(-max_bias * i / n) of the closest power of two n, and
/// every second one of 2n for heads beyond it (Press et al., as transformers computes them in f32).
std::vector<float> AlibiSlopes(int64_t heads, float max_bias = 8);

}  // namespace qeff::families
