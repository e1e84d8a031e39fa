// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// How much a step has to do at least, from its parameters and the positions of a run: the numbers
// behind shares of the machine's limit. Called once a step when a run is recorded, never else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "backends/cpu/kernels/kernels.h"
#include "backends/cpu/runtime/program.h"
#include "lib/generation/run_profile.h"

namespace qeff::cpu {

/// The rows of a run that hold tokens.
struct LiveRows {
  int64_t rows = 0;   ///< B * T; 0: nothing says which rows are live, so all are
  int64_t live = 0;   ///< those that hold tokens
  int64_t pairs = 0;  ///< of live rows of the same row of the batch; of masks only
};
/// From the input `position_ids` [B, T]: rows at positions >= 0.
LiveRows CountLiveRows(std::span<const int64_t> positions);
/// From the mask [B, row_tokens] of qeff.TokenIndex: rows whose mask is not 0.
LiveRows CountMaskedRows(std::span<const int64_t> mask, int64_t row_tokens);

/// Returns the work of `step`, which has been checked; `operands` are its operands as addresses,
/// inputs filled. `kernels` say which rows are bf16.
///   Linear: every byte of its weights and bias; 2 * rows * K * N, gated twice that, where rows are
///     the live ones if the step has B * T of them.
///   RoutedLinear: the weights of at most as many experts as there are choices of live rows.
///   Attention: for each row of the batch the keys and values from the first to the last slot that
///     a live token sees; 2 * H * (E + Ev) for each slot that each live token sees.
///   MatMul (of two computed values): 2 * M * K * N.
///   Delta rule: its state, read and written; 8 * Hv * E * Ev for each live token.
///   Everything else: its constants; of tables only the rows that are looked up.
///   PackedAttention: 2 * H * (E + Ev) for each pair of live rows; with a window at most
///     2 * window - 1 pairs for each of them.
RunWork WorkOfStep(const Step& step, const SpecializationProgram& program,
                   std::span<std::byte* const> operands, const LiveRows& live,
                   const Kernels& kernels);

}  // namespace qeff::cpu
