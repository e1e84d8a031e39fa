// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The causal decoder that most text families share: token embedding, layers of attention and a
// gated feed-forward block with RMS normalization before each, a final norm and a head. A family
// states its facts; what the facts mean is here, once.
//
//   x = embed_tokens[input_ids]
//   for each layer:  x = x + o_proj(attention(rope(q), rope(k), v)) of n = norm(x);  x = x +
//   mlp(norm(x)) logits = lm_head(norm(x))
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/families/blocks/builder.h"
#include "lib/families/blocks/rotary.h"

namespace qeff::families {

/// What differs from layer to layer.
struct LayerFacts {
  int64_t window_tokens =
      0;  ///< 0: a query sees all earlier tokens; w: the last w, itself included
};

struct DecoderFacts {
  int64_t vocab_size = 0;    ///< V
  int64_t hidden_size = 0;   ///< D
  int64_t num_heads = 0;     ///< H
  int64_t num_kv_heads = 0;  ///< K, divides H
  int64_t head_size = 0;     ///< E
  int64_t ffn_size = 0;      ///< F
  float norm_epsilon = 0;
  std::string activation;  ///< of the gate, by transformers' name
  RotaryFacts rotary;
  std::vector<LayerFacts> layers;

  bool query_key_value_have_bias = false;
  bool attention_output_has_bias = false;
  bool mlp_has_bias = false;
  bool query_and_key_are_normalized = false;  ///< RMS norm over each head before the rotation
  bool head_is_tied = false;                  ///< the head's weight is the embedding's
};

/// Returns the graph in semantic ops, without any cache: inputs input_ids and position_ids i64
/// [batch_size, seq_len], output logits f32 [batch_size, seq_len, V]. Tensor names as in hub
/// checkpoints ("model.layers.0.self_attn.q_proj.weight"; also without the prefix "model.").
/// Errors: kInvalidInput with every missing, wrong or left-over tensor.
Result<ir::Graph> BuildDecoder(const DecoderFacts& facts, const WeightTable& weights);

}  // namespace qeff::families
