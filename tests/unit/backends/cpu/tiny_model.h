// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// A small decoder in semantic ops with seeded random weights, for tests of the planner and the
// runtime.
#pragma once

#include <vector>

#include "backends/backend.h"
#include "backends/cpu/plan/compile.h"
#include "backends/cpu/runtime/cpu_session.h"

namespace qeff::cpu {

struct TinyModelOptions {
  int64_t batch = 2;
  int64_t tokens = 5;
  int64_t context = 70;
  int64_t layers = 2;
  bool has_qk_norm = false;
  bool is_tied = true;
  bool has_bias = false;
  int64_t window = 0;
  int64_t vocabulary = 50;
  int64_t experts = 0;  ///< 0: a gated block; else two of so many experts a token, with a limit
};

inline constexpr int64_t kTinyIds = 50;  ///< that inputs have
inline constexpr int64_t kTinyHeads = 4;
inline constexpr int64_t kTinyKvHeads = 2;
inline constexpr int64_t kTinyHeadSize = 8;
inline constexpr int64_t kTinyWidth = 24;
inline constexpr int64_t kTinyFfn = 40;

/// Inputs input_ids, position_ids [B, T], past_key.i, past_value.i; outputs logits [B, 1, V] and
/// the new state. The same options except batch and tokens give the same weights.
SpecializedGraph MakeTinyModel(const TinyModelOptions& options);

/// A compiled plan with its constants in memory.
struct BuiltPlan {
  std::vector<std::byte> program;
  std::vector<std::byte> constants;
};
BuiltPlan BuildPlan(const std::vector<SpecializedGraph>& graphs, const CpuCompileOptions& options);
Result<std::unique_ptr<Session>> OpenBuilt(const BuiltPlan& plan,
                                           const CpuRunOptions& options = {});

/// Fills input_ids and position_ids of specialization 0 (row b starts at `first_position`; the last
/// token is padding if `has_padding`), runs, and returns the logits.
std::vector<float> RunTinyModel(Session& session, int64_t first_position, bool has_padding,
                                size_t specialization = 0);

}  // namespace qeff::cpu
