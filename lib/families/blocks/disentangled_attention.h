// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The attention of DeBERTa-v2 (He et al., 2021), whose scores compare contents with contents,
// contents with distances and distances with contents, each with a vector of its own:
//   score[i, j] = (q[i].k[j] + q[i].pk[row(i - j)] + k[j].pq[row(i - j)]) / sqrt(n * E)
// pk and pq are projections of a learned table of distances, n is 1 plus the number of kinds that
// the config names. And the convolution over tokens that large models have beside the first layer.
#pragma once

#include <cstdint>
#include <string>

#include "lib/families/blocks/encoder.h"
#include "lib/families/blocks/relative_position.h"

namespace qeff::families {

struct DisentangledFacts {
  int64_t kinds = 0;         ///< n - 1
  bool is_relative = false;  ///< there is a table of distances
  bool content_to_position = false;
  bool position_to_content = false;
  bool shares_projections = false;   ///< pk and pq are made by the projections of key and query
  bool table_is_normalized = false;  ///< by tensors encoder.LayerNorm
  int64_t span = 0;                  ///< half of the table's rows
  DistanceRows rows;
};

/// Leaves the table and its rows for all layers. Called once, before the first layer.
void PrepareDisentangledAttention(const EncoderContext& context, const DisentangledFacts& facts);

/// x [B, T, D] -> [B, T, D], with the projections of EncoderNames.
ir::Value* AddDisentangledAttention(const EncoderContext& context, const DisentangledFacts& facts,
                                    ir::Value* x);

struct TokenConvolution {
  int64_t width = 0;   ///< tokens, odd
  int64_t groups = 1;  ///< divides D: channels of a group see only each other
  std::string activation;
};

/// norm(x + activation(convolution(source))), zero for padding; source and x [B, T, D], tensors
/// encoder.conv. Padding in source must be zero.
ir::Value* AddTokenConvolution(const EncoderContext& context, const TokenConvolution& facts,
                               ir::Value* source, ir::Value* x);

}  // namespace qeff::families
