// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The gated delta rule. Columns of the state do not meet: a tile of 32 of them stays in the first
// cache while all tokens pass. The update k u^T of a token is left to the pass of the next one, so
// that each token reads and writes the tile once:
//   S = exp(decay) (S + k' u'^T)    y = S^T k    z = S^T q    u = beta (v - y)    out = z + (q . k)
//   u
#pragma once

#include "backends/cpu/kernels/kernels.h"
#include "backends/cpu/kernels/vector.h"

namespace qeff::cpu {
namespace {

constexpr int kTileVectors = static_cast<int>(kDeltaRuleColumns) / kLanes;

/// 32 columns, the ones beyond `columns` zero.
QEFF_INLINE void LoadColumns(const float* from, int64_t columns, Vec* to) {
  float row[kDeltaRuleColumns] = {};
  const float* source = from;
  if (columns < kDeltaRuleColumns) {
    for (int64_t j = 0; j < columns; ++j) row[j] = from[j];
    source = row;
  }
  for (int n = 0; n < kTileVectors; ++n) to[n] = Load(source + n * kLanes);
}

QEFF_INLINE void StoreColumns(const Vec* from, int64_t columns, float* to) {
  float row[kDeltaRuleColumns];
  float* target = columns < kDeltaRuleColumns ? row : to;
  for (int n = 0; n < kTileVectors; ++n) Store(target + n * kLanes, from[n]);
  if (columns < kDeltaRuleColumns) {
    for (int64_t j = 0; j < columns; ++j) to[j] = row[j];
  }
}

/// Columns [first, first + columns) of the state.
inline void RunDeltaRuleTile(const DeltaRuleArgs& args, int64_t first, int64_t columns) {
  float* tile = args.scratch;
  const bool is_zero = args.state == nullptr || args.starts != 0;
  for (int64_t i = 0; i < args.key_size; ++i) {
    Vec row[kTileVectors] = {};
    if (!is_zero) LoadColumns(args.state + i * args.value_size + first, columns, row);
    StoreColumns(row, kDeltaRuleColumns, tile + i * kDeltaRuleColumns);
  }
  const float* last_key = nullptr;
  Vec update[kTileVectors] = {};  // u of the token before
  for (int64_t t = 0; t < args.tokens; ++t) {
    float* out = args.out + t * args.out_stride + first;
    if (args.positions[t] < 0) {
      for (int64_t j = 0; j < columns; ++j) out[j] = 0;
      continue;
    }
    const float* q = args.q + t * args.q_stride;
    const float* k = args.k + t * args.k_stride;
    if (last_key == nullptr) last_key = k;
    const Vec decay = Exp(Broadcast(args.decay[t * args.decay_stride]));
    Vec remembered[kTileVectors] = {};
    Vec recalled[kTileVectors] = {};
    float overlap = 0;
    for (int64_t i = 0; i < args.key_size; ++i) {
      float* row = tile + i * kDeltaRuleColumns;
      const Vec before = Broadcast(last_key[i]);
      const Vec key = Broadcast(k[i]);
      const Vec query = Broadcast(q[i]);
      for (int n = 0; n < kTileVectors; ++n) {
        const Vec state = decay * (Load(row + n * kLanes) + before * update[n]);
        remembered[n] += state * key;
        recalled[n] += state * query;
        Store(row + n * kLanes, state);
      }
      overlap += q[i] * k[i];
    }
    Vec value[kTileVectors];
    LoadColumns(args.v + t * args.v_stride + first, columns, value);
    const Vec beta = Broadcast(args.beta[t * args.beta_stride]);
    for (int n = 0; n < kTileVectors; ++n) {
      update[n] = beta * (value[n] - remembered[n]);
      recalled[n] += overlap * update[n];
    }
    StoreColumns(recalled, columns, out);
    last_key = k;
  }
  if (args.state == nullptr || last_key == nullptr) return;
  for (int64_t i = 0; i < args.key_size; ++i) {
    Vec row[kTileVectors];
    for (int n = 0; n < kTileVectors; ++n) {
      row[n] = Load(tile + i * kDeltaRuleColumns + n * kLanes) + last_key[i] * update[n];
    }
    StoreColumns(row, columns, args.state + i * args.value_size + first);
  }
}

inline void RunDeltaRule(const DeltaRuleArgs& args) {
  for (int64_t first = 0; first < args.value_size; first += kDeltaRuleColumns) {
    const int64_t left = args.value_size - first;
    RunDeltaRuleTile(args, first, left < kDeltaRuleColumns ? left : kDeltaRuleColumns);
  }
}

}  // namespace
}  // namespace qeff::cpu
