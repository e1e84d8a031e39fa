// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Multi-head latent attention (DeepSeek-V2): keys and values of all heads are projected from one
// latent vector a token, and all heads share one rotated part of the key. This is the form with a
// key and a value for each head; the keys it keeps are [unrotated | rotated].
//
//   q = q_b(norm(q_a(x))), or q_proj(x): each head [unrotated | rotated]
//   [c | k_rotated] = kv_a(x)      each head [k_unrotated | v] = kv_b(norm(c))
//   y = o_proj(attention([q_u | rope(q_r)], [k_u | rope(k_r)], v))
#pragma once

#include <cstdint>

#include "lib/families/blocks/decoder.h"
#include "lib/families/family.h"

namespace qeff::families {

struct LatentAttentionFacts {
  int64_t num_heads = 0;       ///< H
  int64_t query_rank = 0;      ///< size of q_a's result; 0: the query has one projection
  int64_t latent_size = 0;     ///< of c
  int64_t unrotated_size = 0;  ///< channels of a key that know nothing of position
  int64_t rotated_size = 0;    ///< channels that are rotated
  int64_t value_size = 0;      ///< of a head
  bool has_bias = false;       ///< of q_a, kv_a and o_proj
  float scale = 1;             ///< of the scores
  NormFacts latent_norm;       ///< of q_a's result and of c
};

/// x [B, T, D] -> [B, T, D]. Rotates pairs (2i, 2i + 1) by the first of the decoder's rotations.
ir::Value* AddLatentAttention(const LayerContext& context, const LatentAttentionFacts& facts,
                              ir::Value* x);

/// Whether the yarn factor `mscale_all_dim` counts in the scale of the scores.
enum class YarnScale { kIgnored, kSquared };

/// Reads sizes, the rotation of the rotated channels, and the layers before
/// `first_k_dense_replace`, and makes latent attention that of all layers. Errors: kInvalidInput;
/// kUnsupported for pairs that are not neighbours, and for experts on some of the later layers
/// only.
struct LatentDecoder {
  DecoderFacts facts;
  int64_t first_sparse_layer = 0;
};
struct LatentDefaults {
  int64_t vocab_size = 0;
  int64_t max_position_embeddings = 0;
  int64_t hidden_size = 0;
  int64_t num_hidden_layers = 0;
  int64_t num_attention_heads = 0;
  int64_t intermediate_size = 0;
  int64_t first_dense_layers = 0;
  YarnScale yarn_scale = YarnScale::kIgnored;
};
Result<LatentDecoder> ReadLatentDecoder(const FamilyInputs& inputs, const LatentDefaults& defaults);

}  // namespace qeff::families
