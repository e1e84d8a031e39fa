// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The file form of programs: round trip, and every kind of damage.
#include "backends/cpu/runtime/program.h"

#include <catch2/catch.hpp>

#include "backends/cpu/runtime/step_params.h"
#include "tests/unit/backends/cpu/tiny_model.h"

namespace qeff::cpu {
namespace {

std::vector<SpecializedGraph> SmallModel(int64_t experts = 0) {
  std::vector<SpecializedGraph> graphs;
  graphs.push_back(
      MakeTinyModel({.batch = 1, .tokens = 3, .context = 8, .layers = 1, .experts = experts}));
  return graphs;
}

Program ReadBack(const BuiltPlan& plan) {
  auto program = ReadProgram(plan.program, "tiny.bin");
  REQUIRE(program.ok());
  return std::move(*program);
}

/// The check's message for a program with one change.
template <typename Change>
std::string MessageAfter(const Change& change, int64_t experts = 0) {
  Program program = ReadBack(BuildPlan(SmallModel(experts), {}));
  change(program);
  const Status status = CheckProgram(program, "tiny.bin");
  return status.ok() ? "" : status.diagnostic().message;
}

Step& FirstStep(Program& program, StepOp op) {
  for (Step& step : program.specializations[0].steps) {
    if (step.op == op) return step;
  }
  FAIL("no such step");
  return program.specializations[0].steps[0];
}

template <typename Params, typename Change>
void ChangeParams(Step& step, const Change& change) {
  Params params;
  std::memcpy(&params, step.params.data(), sizeof(params));
  change(params);
  std::memcpy(step.params.data(), &params, sizeof(params));
}

}  // namespace

TEST_CASE("a program is the same after a round trip through bytes") {
  const BuiltPlan plan = BuildPlan(SmallModel(), {.part_count = 3});
  const Program program = ReadBack(plan);
  const std::string again = WriteProgram(program);
  CHECK(std::equal(plan.program.begin(), plan.program.end(),
                   std::as_bytes(std::span(again)).begin(), std::as_bytes(std::span(again)).end()));
  CHECK(program.part_count == 3);
  CHECK(program.specializations[0].inputs.size() == 2);
  CHECK(program.states.size() == 2);
}

TEST_CASE("bad_truncated program is an error at every length") {
  const BuiltPlan plan = BuildPlan(SmallModel(), {});
  for (size_t length = 0; length < plan.program.size(); ++length) {
    const auto cut = std::span<const std::byte>(plan.program).first(length);
    REQUIRE_FALSE(ReadProgram(cut, "tiny.bin").ok());
  }
}

TEST_CASE("bad_byte anywhere in a program is an error or leaves it safe to run") {
  const int64_t experts = GENERATE(0, 3);
  BuiltPlan plan = BuildPlan(SmallModel(experts), {});
  int runs = 0;
  for (size_t i = 0; i < plan.program.size(); ++i) {
    for (const unsigned flip : {0x01u, 0x80u}) {
      const std::byte old = plan.program[i];
      plan.program[i] ^= static_cast<std::byte>(flip);
      auto session = OpenBuilt(plan, {.thread_count = 1});
      if (session.ok()) {
        (void)(*session)->Run(0);
        ++runs;
      }
      plan.program[i] = old;
    }
  }
  CHECK(runs > 0);
}

TEST_CASE("bad_steps are refused with what is wrong") {
  CHECK(MessageAfter([](Program& p) {
          ChangeParams<LinearParams>(FirstStep(p, StepOp::kLinear),
                                     [](LinearParams& params) { params.depth += 100; });
        }).find("step 'linear': operand 0 needs") == 0);
  CHECK(MessageAfter([](Program& p) {
          ChangeParams<LinearParams>(FirstStep(p, StepOp::kLinear),
                                     [](LinearParams& params) { params.rows = INT64_MAX; });
        }) == "step 'linear': size 9223372036854775807 is not in [0, 2^40]");
  CHECK(MessageAfter([](Program& p) {
          ChangeParams<LinearParams>(FirstStep(p, StepOp::kLinear), [](LinearParams& params) {
            params.activation = static_cast<Activation>(99);
          });
        }) == "step 'linear': unknown activation");
  const auto packing = [](RowFormat format, bool has_out) {
    return [format, has_out](Program& p) {
      Step& step = FirstStep(p, StepOp::kLinear);
      constexpr int kOut = 4;
      constexpr int kPacked = 5;
      step.operands[kPacked] = step.operands[kOut];
      if (!has_out) step.operands[kOut].buffer = -1;
      ChangeParams<LinearParams>(step,
                                 [&](LinearParams& params) { params.packed_format = format; });
    };
  };
  CHECK(MessageAfter(packing(RowFormat::kF32, true)) ==
        "step 'linear': rows that no product packs");
  CHECK(MessageAfter(packing(static_cast<RowFormat>(9), true)) ==
        "step 'linear': rows that no product packs");
  CHECK(MessageAfter(packing(RowFormat::kInt8, false)) ==
        "step 'linear': no place for a result that is not packed");
  CHECK(MessageAfter([](Program& p) { FirstStep(p, StepOp::kLinear).operands[4].buffer = -1; }) ==
        "step 'linear': no place for the result");
  CHECK(MessageAfter([](Program& p) {
          ChangeParams<AttentionParams>(
              FirstStep(p, StepOp::kAttention),
              [](AttentionParams& params) { params.format = static_cast<CacheFormat>(9); });
        }) == "step 'attention': unknown format of a cache");
  CHECK(MessageAfter([](Program& p) {
          FirstStep(p, StepOp::kLinear).part_begin.back() += 1;
        }).find("expected parts over units") != std::string::npos);
  CHECK(MessageAfter([](Program& p) {
          Step& step = FirstStep(p, StepOp::kGatherRows);
          step.operands[2] = step.operands[1];  // writes where the table is
        }) == "step 'gather_rows': a constant would be written");
  CHECK(MessageAfter([](Program& p) {
          p.specializations[0].buffers[0].size_bytes = uint64_t{1} << 60;
        }).find("lies outside its area") != std::string::npos);
  CHECK(MessageAfter([](Program& p) {
          p.specializations[0].steps[0].op = static_cast<StepOp>(999);
        }) == "unknown step 999");
}

TEST_CASE("bad_steps of experts are refused with what is wrong") {
  CHECK(MessageAfter(
            [](Program& p) {
              ChangeParams<RoutedLinearParams>(
                  FirstStep(p, StepOp::kRoutedLinear),
                  [](RoutedLinearParams& params) { params.experts += 1; });
            },
            3)
            .find("step 'routed_linear': operand 1 needs 40 bytes, got 32") == 0);
  CHECK(MessageAfter(
            [](Program& p) {
              ChangeParams<PackRoutedParams>(FirstStep(p, StepOp::kPackRouted),
                                             [](PackRoutedParams& params) { params.choices = 9; });
            },
            3) == "step 'pack_routed': rows do not fit slots");
  CHECK(MessageAfter(
            [](Program& p) {
              ChangeParams<RouteParams>(FirstStep(p, StepOp::kRoute),
                                        [](RouteParams& params) { params.experts = 0; });
            },
            3) == "step 'route': no experts");
}

TEST_CASE("bad_places: no step writes over its indices or twice to one place") {
  const auto message = [](StepOp op, int operand, int place_of, int64_t experts) {
    return MessageAfter(
        [&](Program& p) {
          Step& step = FirstStep(p, op);
          step.operands[operand] = step.operands[place_of];
        },
        experts);
  };
  CHECK(message(StepOp::kCacheWrite, 1, 3, 0) ==
        "step 'cache_write': operand 3 would be written over indices");
  // Counting over what is counted would give places beyond the last one.
  CHECK(message(StepOp::kRoute, 1, 0, 3) ==
        "step 'route': operand 1 would be written over indices");
  CHECK(message(StepOp::kRoute, 2, 0, 3) ==
        "step 'route': operand 2 would be written over indices");
  CHECK(message(StepOp::kRoute, 3, 0, 3) ==
        "step 'route': operand 3 would be written over indices");
  CHECK(message(StepOp::kRoute, 2, 3, 3) ==
        "step 'route': operands 2 and 3 would be written to one place");
}

TEST_CASE("bad_places: a product writes over nothing that it reads, except a residual in place") {
  enum { kX, kWeights, kBias, kResidual, kOut };
  // One part: no barrier is missing when operands come to lie over each other.
  const auto message = [](int operand, int64_t shift_bytes, int64_t stride_change) {
    return MessageAfter([&](Program& p) {
      Step& step = FirstStep(p, StepOp::kLinear);
      step.operands[operand] = step.operands[kOut];
      ChangeParams<LinearParams>(step, [&](LinearParams& params) {
        params.residual_stride = params.out_stride + stride_change;
        // A row less leaves room behind the result to shift into.
        params.rows -= 1;
        params.columns -= 16;
      });
      step.operands[operand].offset_bytes += static_cast<uint64_t>(shift_bytes);
    });
  };
  const std::string over_sources =
      "step 'linear': the result would be written over what it is made of";
  CHECK(message(kX, 0, 0) == over_sources);
  CHECK(message(kX, 64, 0) == over_sources);
  CHECK(message(kBias, 64, 0) == over_sources);
  const std::string over_residual =
      "step 'linear': the result would be written over a residual that lies elsewhere";
  CHECK(message(kResidual, 64, 0) == over_residual);
  CHECK(message(kResidual, 0, -4) == over_residual);
  CHECK(message(kResidual, 0, 0) == "");
}

TEST_CASE("bad_row_count that the step itself writes is refused") {
  CHECK(MessageAfter([](Program& p) {
          Step& step = FirstStep(p, StepOp::kGatherRows);
          step.row_total = 3;
          step.row_count = step.operands[2];
        }) == "step 'gather_rows': operand 2 would be written over indices");
}

TEST_CASE("bad_barriers: a step that does not wait for those whose memory it shares is refused") {
  const int64_t experts = GENERATE(0, 3);
  std::vector<SpecializedGraph> graphs;
  graphs.push_back(MakeTinyModel({.tokens = 64, .layers = 1, .experts = experts}));
  Program program = ReadBack(BuildPlan(graphs, {.part_count = 2}));
  int barriers = 0;
  for (Step& step : program.specializations[0].steps) {
    if (!step.has_barrier) continue;
    ++barriers;
    step.has_barrier = false;
    const Status status = CheckProgram(program, "tiny.bin");
    INFO(step.name);
    REQUIRE_FALSE(status.ok());
    CHECK(status.diagnostic().message.find("does not wait for steps with which it shares memory") !=
          std::string::npos);
    step.has_barrier = true;
  }
  CHECK(barriers > 5);
}

TEST_CASE("bad_barriers: looking for one does not take long in a program of many steps") {
  std::vector<SpecializedGraph> graphs = SmallModel();
  Program program = ReadBack(BuildPlan(graphs, {.part_count = 2}));
  std::vector<Step>& steps = program.specializations[0].steps;
  REQUIRE(std::ranges::none_of(steps, [](const Step& step) { return step.has_barrier; }));
  const std::vector<Step> once = steps;
  for (int i = 0; i < 200; ++i) steps.insert(steps.end(), once.begin(), once.end());
  const Status status = CheckProgram(program, "tiny.bin");
  REQUIRE_FALSE(status.ok());
  CHECK(status.diagnostic().message.find("no step waited for so many operands") !=
        std::string::npos);
}

TEST_CASE("bad_constant as a result is refused") {
  const std::string message = MessageAfter([](Program& p) {
    Step& step = FirstStep(p, StepOp::kNorm);
    for (const Operand& operand : FirstStep(p, StepOp::kLinear).operands) {
      if (operand.buffer < 0) continue;
      const Buffer& buffer = p.specializations[0].buffers[operand.buffer];
      if (buffer.area == Area::kConstants) step.operands[3] = {operand.buffer, 0};
    }
  });
  CHECK(message == "step 'norm': a constant would be written");
}

TEST_CASE("bad_constants that are cut short are refused") {
  BuiltPlan plan = BuildPlan(SmallModel(), {});
  plan.constants.resize(plan.constants.size() - 1);
  const auto session = OpenBuilt(plan);
  REQUIRE_FALSE(session.ok());
  CHECK(session.diagnostic().message.find("bytes of constants") != std::string::npos);
}

TEST_CASE("bad_version names both versions") {
  BuiltPlan plan = BuildPlan(SmallModel(), {});
  plan.program[8] = std::byte{99};
  const auto program = ReadProgram(plan.program, "tiny.bin");
  REQUIRE_FALSE(program.ok());
  CHECK(program.diagnostic().code == ErrorCode::kVersionMismatch);
  CHECK(program.diagnostic().message == "expected program version 7, got 99");
}

}  // namespace qeff::cpu
