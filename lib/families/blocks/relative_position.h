// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Attention that depends on how far apart two tokens are, by rows of a learned table: near
// distances have a row each, far ones share rows in steps that grow with the logarithm.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/families/blocks/builder.h"

namespace qeff::families {

/// The row of a table for each distance from -(n - 1) / 2 to (n - 1) / 2, n = size() (odd); the
/// first and the last one also stand for all distances beyond.
using DistanceRows = std::vector<int64_t>;

/// T5 (Raffel et al., 2020), both directions: distance = position of the key - of the query. Half
/// of the rows are for keys ahead; of each half, the first half are for single distances, the rest
/// for logarithmic steps up to `max_distance`. Computed in float32, as transformers does.
/// Requires: num_rows >= 4, max_distance > num_rows / 4.
DistanceRows LogarithmicDistanceRows(int64_t num_rows, int64_t max_distance);

/// DeBERTa-v2 (He et al., 2021), 2 `span` rows: distance = position of the query - of the key. With
/// `buckets` (= span) distances up to buckets / 2 have rows of their own, farther ones logarithmic
/// steps up to `max_distance`; without (0) all within the span have. Computed as above.
/// Requires: span >= 1; buckets 0, or buckets even, >= 4 and max_distance - 1 > buckets / 2.
DistanceRows DisentangledDistanceRows(int64_t span, int64_t buckets, int64_t max_distance);

/// i64 [T, T]: at [i, j] the row of distance j - i. `input_ids` [B, T] gives T.
ir::Value* AddDistanceRows(Builder& builder, const std::string& scope, ir::Value* input_ids,
                           const DistanceRows& rows);

/// f32 [1, H, T, T] for the scores: table[row of the distance j - i, h]. `table` is f32 [rows, H].
ir::Value* AddDistanceBias(Builder& builder, const std::string& scope, ir::Value* input_ids,
                           ir::Value* table, const DistanceRows& rows);

/// f32 [B, H, T, T]: at [b, h, i, j] the product of head h of x[b, i] with head h of row
/// rows[i, j] of the table. x f32 [B, T, H * E], table f32 [R, H * E], rows i64 [T, T].
ir::Value* AddDistanceScores(Builder& builder, const std::string& scope, ir::Value* x,
                             ir::Value* table, ir::Value* rows, int64_t heads, int64_t head_size);

}  // namespace qeff::families
