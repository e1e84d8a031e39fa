// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The steps of a mixture of experts, one by one: how slots are sorted, and that experts without
// rows are left alone.
#include <catch2/catch.hpp>
#include <vector>

#include "backends/cpu/runtime/step.h"
#include "backends/cpu/runtime/step_params.h"

namespace qeff::cpu {
namespace {

/// Runs all units of a step.
template <typename Params>
void RunStep(StepOp op, const Params& params, std::vector<const void*> operands, int64_t units,
             RunFault& fault, const Kernels& kernels = {}) {
  std::vector<std::byte*> pointers;
  for (const void* operand : operands) {
    pointers.push_back(static_cast<std::byte*>(const_cast<void*>(operand)));
  }
  alignas(64) static std::byte scratch[1 << 16];
  FindStep(op)->run({.kernels = kernels,
                     .params = reinterpret_cast<const std::byte*>(&params),
                     .operands = pointers.data(),
                     .begin = 0,
                     .end = units,
                     .scratch = scratch,
                     .fault = fault,
                     .step_index = 7});
}

std::vector<LinearArgs>* linear_calls = nullptr;  // of the test that runs

}  // namespace

TEST_CASE("slots are sorted by expert, those of one expert in order") {
  const std::vector<int64_t> ids = {3, 1, 1, 3, 0, 3};
  std::vector<int64_t> starts(6);
  std::vector<int64_t> order(6);
  std::vector<int64_t> places(6);
  RunFault fault;
  RunStep(StepOp::kRoute, RouteParams{.slots = 6, .experts = 5},
          {ids.data(), starts.data(), order.data(), places.data()}, 1, fault);
  CHECK_FALSE(fault.reported());
  CHECK(starts == std::vector<int64_t>{0, 1, 3, 3, 6, 6});
  CHECK(order == std::vector<int64_t>{4, 1, 2, 0, 3, 5});
  CHECK(places == std::vector<int64_t>{3, 1, 2, 4, 0, 5});
}

TEST_CASE("bad_expert_id is a fault that names the value") {
  for (const int64_t bad : {int64_t{-1}, int64_t{4}, INT64_MAX}) {
    const std::vector<int64_t> ids = {0, bad};
    std::vector<int64_t> starts(5);
    std::vector<int64_t> order(2);
    std::vector<int64_t> places(2);
    RunFault fault;
    RunStep(StepOp::kRoute, RouteParams{.slots = 2, .experts = 4},
            {ids.data(), starts.data(), order.data(), places.data()}, 1, fault);
    CHECK(fault.reported());
    CHECK(fault.value() == bad);
    CHECK(fault.limit() == 4);
    CHECK(fault.step() == 7);
    CHECK(starts.back() == 2);  // what follows finds a routing all the same
  }
}

TEST_CASE("only experts that have rows are computed, each once with all its rows") {
  const std::vector<int64_t> starts = {0, 0, 5, 5, 6, 6};
  const int64_t depth = 3;
  const int64_t columns = 40;  // two panels
  std::vector<float> x(6 * depth);
  std::vector<float> weights(5 * 2 * kPanelColumns * depth);
  std::vector<float> out(6 * columns);
  std::vector<LinearArgs> calls;
  linear_calls = &calls;
  Kernels kernels;
  kernels.linear_f32 = [](const LinearArgs& args) { linear_calls->push_back(args); };
  RunFault fault;
  RunStep(StepOp::kRoutedLinear,
          RoutedLinearParams{.slots = 6, .experts = 5, .depth = depth, .columns = columns},
          {x.data(), starts.data(), weights.data(), nullptr, out.data()}, 2, fault, kernels);
  REQUIRE(calls.size() == 2);
  const int64_t expert_floats = 2 * kPanelColumns * depth;
  CHECK(calls[0].rows == 5);
  CHECK(calls[0].x == x.data());
  CHECK(calls[0].weights == weights.data() + expert_floats);
  CHECK(calls[0].out == out.data());
  CHECK(calls[1].rows == 1);
  CHECK(calls[1].x == x.data() + 5 * depth);
  CHECK(calls[1].weights == weights.data() + 3 * expert_floats);
  CHECK(calls[1].out == out.data() + 5 * columns);
}

TEST_CASE("bad_routing that a damaged program wires stays inside of the buffers") {
  const std::vector<int64_t> starts = {-5, INT64_MAX, 3, INT64_MIN};
  const std::vector<int64_t> wild = {INT64_MAX, INT64_MIN, -1, 4};
  std::vector<float> x(4 * 2, 1.0f);
  std::vector<float> packed(4 * 2);
  Kernels kernels;
  kernels.pack_rows_f32 = [](const PackRowsArgs& args) {
    auto* to = static_cast<float*>(args.out) + args.row_begin * args.depth;
    for (int64_t i = 0; i < args.rows * args.depth; ++i) to[i] = args.x[i];
  };
  RunFault fault;
  RunStep(StepOp::kPackRouted,
          PackRoutedParams{
              .rows = 2, .choices = 2, .slots = 4, .experts = 3, .depth = 2, .x_stride = 2},
          {x.data(), starts.data(), wild.data(), nullptr, packed.data()}, 3, fault, kernels);
  CHECK(packed == x);
  std::vector<float> out(2 * 2);
  RunStep(StepOp::kCombineRouted, CombineRoutedParams{.rows = 2, .choices = 2, .width = 2},
          {packed.data(), wild.data(), nullptr, out.data()}, 2, fault);
  CHECK(out == std::vector<float>{2, 2, 2, 2});
}

}  // namespace qeff::cpu
