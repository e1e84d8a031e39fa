// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Cosines and sines of rotary position embedding for the tokens of a call, made once per model and
// read by every qeff.Rope.
#pragma once

#include <cstdint>
#include <vector>

#include "lib/families/blocks/builder.h"

namespace qeff::families {

/// How the frequencies follow from the position.
enum class RotaryKind {
  kTable,      ///< one table of fixed frequencies
  kByContext,  ///< longrope: other frequencies once the context is longer than the original one
  kDynamic,    ///< dynamic NTK: the base grows with the largest position of the call
};

struct RotaryFacts {
  RotaryKind kind = RotaryKind::kTable;
  int64_t rotary_channels = 0;             ///< R
  std::vector<float> inverse_frequencies;  ///< [R / 2]
  float scale = 1;         ///< multiplies cos and sin ("attention scaling" of transformers)
  int64_t table_rows = 0;  ///< positions that the tables hold

  // kByContext
  std::vector<float>
      long_inverse_frequencies;  ///< [R / 2], for a context longer than original_context_tokens
  int64_t original_context_tokens = 0;  ///< also for kDynamic: the length from which the base grows

  // kDynamic: base' = base * (factor * length / original - (factor - 1)) ^ (R / (R - 2)), length =
  // largest position + 1
  float base = 10000;
  float factor = 1;
};

/// i64 [B, T]: 0 .. T - 1 in each row, for input_ids [B, T].
ir::Value* AddTokenPositions(Builder& builder, ir::Value* input_ids);

struct RotaryValues {
  ir::Value* cosine = nullptr;  ///< f32 [B, T, R], the R / 2 columns twice
  ir::Value* sine = nullptr;
};

/// Adds the nodes. A position of -1 (padding) gives some finite value. A longrope graph holds both
/// tables and chooses by qeff.ContextLength: a compiler that knows ctx_len keeps one of them.
/// `index` tells the tables of one model apart: the first are model.cos_cached and
/// model.sin_cached, as in the contract.
RotaryValues AddRotary(Builder& builder, const RotaryFacts& facts, ir::Value* position_ids,
                       size_t index = 0);

}  // namespace qeff::families
