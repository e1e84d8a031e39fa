// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The step that sums the rows of each text of a batch without padding.
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>
#include <vector>

#include "backends/cpu/runtime/step.h"
#include "backends/cpu/runtime/step_params.h"

namespace qeff::cpu {
namespace {

/// Two threads' shares of the columns, one after the other.
std::vector<float> SumTokens(const SumTokensParams& params, const std::vector<float>& x,
                             const std::vector<int64_t>& starts, RunFault& fault) {
  std::vector<float> out(static_cast<size_t>(params.batch * params.width), -1.0f);
  std::byte* operands[] = {reinterpret_cast<std::byte*>(const_cast<float*>(x.data())),
                           reinterpret_cast<std::byte*>(const_cast<int64_t*>(starts.data())),
                           reinterpret_cast<std::byte*>(out.data())};
  const Kernels kernels;
  for (const int64_t begin : {int64_t{0}, int64_t{1}}) {
    FindStep(StepOp::kSumTokens)
        ->run({.kernels = kernels,
               .params = reinterpret_cast<const std::byte*>(&params),
               .operands = operands,
               .begin = begin,
               .end = begin == 0 ? 1 : params.width,
               .scratch = nullptr,
               .fault = fault,
               .step_index = 3});
  }
  return out;
}

}  // namespace

TEST_CASE("each text's rows are summed, a text without rows is zeros") {
  // Rows of no text hold anything.
  const std::vector<float> x = {1, 10, 2, 20, 4, 40, NAN, NAN, NAN, NAN, NAN, NAN};
  RunFault fault;
  const SumTokensParams params = {.batch = 3, .row_tokens = 2, .width = 2};
  CHECK(SumTokens(params, x, {0, 1, 1, 3}, fault) == std::vector<float>{1, 10, 0, 0, 6, 60});
  CHECK_FALSE(fault.reported());
}

TEST_CASE("bad_row_starts are a fault, and nothing outside is read") {
  const std::vector<float> x = {1, 2, 3, 4};
  const SumTokensParams params = {.batch = 1, .row_tokens = 2, .width = 2};
  for (const auto& starts : {std::vector<int64_t>{-1, 2}, std::vector<int64_t>{0, 3},
                             std::vector<int64_t>{INT64_MIN, INT64_MAX}}) {
    RunFault fault;
    CHECK(SumTokens(params, x, starts, fault) == std::vector<float>{0, 0});
    CHECK(fault.reported());
    CHECK(fault.step() == 3);
  }
  RunFault fault;
  CHECK(SumTokens(params, x, {2, 0}, fault) == std::vector<float>{0, 0});
}

}  // namespace qeff::cpu
