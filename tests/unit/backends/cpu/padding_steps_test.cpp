// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The steps of batches without padding on operands that a damaged program gives them.
#include <catch2/catch.hpp>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "backends/cpu/runtime/step.h"
#include "backends/cpu/runtime/step_params.h"

namespace qeff::cpu {
namespace {

template <typename T>
std::byte* BytesOf(std::vector<T>& values) {
  return reinterpret_cast<std::byte*>(values.data());
}

/// All operands and the result in one buffer of zeros; the message of the check.
template <typename Params>
std::string CheckMessage(StepOp op, const Params& params, std::vector<uint64_t> offsets) {
  SpecializationProgram program;
  program.buffers.push_back({.area = Area::kArena, .offset_bytes = 0, .size_bytes = 4096});
  Step step;
  step.op = op;
  const auto bytes = std::as_bytes(std::span(&params, 1));
  step.params.assign(bytes.begin(), bytes.end());
  for (const uint64_t offset : offsets) step.operands.push_back({0, offset});
  StepCheck check(step, program);
  FindStep(op)->check(check);
  step.part_begin = {0, check.units()};
  const Status status = check.ToStatus("tiny.bin", 0);
  return status.ok() ? "" : status.diagnostic().message;
}

/// Runs the first unit of step 5 of a program.
template <typename Params>
void RunStep(StepOp op, const Params& params, std::byte** operands, RunFault& fault) {
  const Kernels kernels;
  FindStep(op)->run({.kernels = kernels,
                     .params = reinterpret_cast<const std::byte*>(&params),
                     .operands = operands,
                     .begin = 0,
                     .end = 1,
                     .scratch = nullptr,
                     .fault = fault,
                     .step_index = 5});
}

/// One head of one text of four tokens, of which the first and the last are rows.
void AttendTwoRows(RunFault& fault, std::vector<int64_t> key_starts, int64_t is_causal,
                   int64_t window = 0) {
  const PackedAttentionParams params = {.batch = 1,
                                        .row_tokens = 4,
                                        .heads = 1,
                                        .kv_heads = 1,
                                        .key_size = 1,
                                        .value_size = 1,
                                        .q_stride = 1,
                                        .k_stride = 1,
                                        .v_stride = 1,
                                        .out_stride = 1,
                                        .window = window,
                                        .is_causal = is_causal};
  std::vector<float> rows(4);
  std::vector<float> out(4);
  std::vector<int64_t> tokens = {0, 3, -1, -1};
  std::vector<int64_t> starts = {0, 2};
  std::byte* operands[] = {BytesOf(rows),   BytesOf(rows), BytesOf(rows),       BytesOf(tokens),
                           BytesOf(starts), nullptr,       BytesOf(key_starts), BytesOf(out)};
  RunStep(StepOp::kPackedAttention, params, operands, fault);
}

}  // namespace

TEST_CASE("bad_token_index over its mask stays inside") {
  // The index of the first token, kept, makes the mask of the first token of row 1 not 0.
  const TokenIndexParams params = {.batch = 2, .row_tokens = 2, .keeps_first = 1};
  constexpr int64_t kGuard = 77;
  std::vector<int64_t> memory = {1, 1, 0, 1, kGuard};
  std::vector<int64_t> starts(3);
  std::vector<int64_t> key_starts(2);
  std::byte* operands[] = {BytesOf(memory), BytesOf(memory), BytesOf(starts), BytesOf(key_starts)};
  RunFault fault;
  RunStep(StepOp::kTokenIndex, params, operands, fault);
  CHECK(memory.back() == kGuard);
  CHECK(starts.back() <= 4);
}

TEST_CASE("bad_overlap of indices and what is written is refused") {
  const SumTokensParams sum = {.batch = 2, .row_tokens = 2, .width = 2};
  CHECK(CheckMessage(StepOp::kSumTokens, sum, {0, 64, 128}).empty());
  CHECK(CheckMessage(StepOp::kSumTokens, sum, {0, 64, 88}).empty());
  CHECK(CheckMessage(StepOp::kSumTokens, sum, {0, 64, 84}) ==
        "step 'sum_tokens': operand 2 would be written over indices");
  const TokenIndexParams index = {.batch = 2, .row_tokens = 2};
  CHECK(CheckMessage(StepOp::kTokenIndex, index, {0, 64, 128, 192}).empty());
  CHECK(CheckMessage(StepOp::kTokenIndex, index, {0, 8, 128, 192}) ==
        "step 'token_index': operand 1 would be written over indices");
}

TEST_CASE("bad_flags of the steps of padding are refused") {
  CHECK(CheckMessage(StepOp::kTokenIndex,
                     TokenIndexParams{.batch = 2, .row_tokens = 2, .keeps_first = 2},
                     {0, 64, 128, 192}) == "step 'token_index': keeps_first is neither 0 nor 1");
  CHECK(CheckMessage(
            StepOp::kRestorePadding,
            RestorePaddingParams{.batch = 2, .row_tokens = 2, .row_bytes = 4, .keeps_first = -1},
            {0, 64, 128, 192}) == "step 'restore_padding': keeps_first is neither 0 nor 1");
  CHECK(CheckMessage(StepOp::kPackedAttention,
                     PackedAttentionParams{
                         .batch = 1, .row_tokens = 1, .heads = 1, .kv_heads = 1, .is_causal = 256},
                     {0, 64, 128, 192, 256, 320, 384, 448}) ==
        "step 'packed_attention': is_causal is neither 0 nor 1");
}

TEST_CASE("bad_key_starts are a fault that says what they are") {
  for (const int64_t key : {INT64_MIN, int64_t{-1}, int64_t{2}, INT64_MAX}) {
    RunFault fault;
    AttendTwoRows(fault, {key}, 0);
    CHECK(fault.reported());
    CHECK(fault.step() == 5);
    CHECK(fault.value() == key);
    CHECK(fault.cause() == FaultCause::kIndices);
  }
}

TEST_CASE("bad_mask: a first token that sees only padding is a fault of the mask") {
  RunFault causal;
  AttendTwoRows(causal, {1}, 1);
  CHECK(causal.reported());
  CHECK(causal.value() == 3);
  CHECK(causal.limit() == 1);
  CHECK(causal.cause() == FaultCause::kMask);
  RunFault beyond_window;
  AttendTwoRows(beyond_window, {1}, 0, 2);
  CHECK(beyond_window.limit() == 2);
  CHECK(beyond_window.cause() == FaultCause::kMask);
}

}  // namespace qeff::cpu
