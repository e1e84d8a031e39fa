// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Programs whose keys and values are kept in other formats than f32: small decoders against the
// same in f32, and states that cannot be.
#include <catch2/catch.hpp>
#include <cmath>

#include "backends/cpu/runtime/cache_rows.h"
#include "tests/unit/backends/cpu/tiny_model.h"

namespace qeff::cpu {
namespace {

/// The format, and how much of a value it may change: half a unit of the last place.
struct Format {
  KvCacheType type;
  CacheFormat stored;
  float relative;
};
constexpr Format kFormats[] = {{KvCacheType::kBf16, CacheFormat::kBf16, 0x1p-9f},
                               {KvCacheType::kF16, CacheFormat::kF16, 0x1p-11f},
                               {KvCacheType::kMxint8, CacheFormat::kMxint8, 0x1p-7f}};

std::unique_ptr<Session> Open(const BuiltPlan& plan, const CpuRunOptions& options = {}) {
  auto session = OpenBuilt(plan, options);
  if (!session.ok()) FAIL(session.diagnostic().ToString());
  return std::move(*session);
}

std::vector<SpecializedGraph> PromptAndStep(int64_t prompt, int64_t context, int64_t window) {
  std::vector<SpecializedGraph> graphs;
  graphs.push_back(MakeTinyModel({.tokens = prompt, .context = context, .window = window}));
  graphs.push_back(MakeTinyModel({.tokens = 1, .context = context, .window = window}));
  return graphs;
}

/// Root of the mean square of the difference, over that of `expected`.
double RelativeDifference(const std::vector<float>& got, const std::vector<float>& expected) {
  REQUIRE(got.size() == expected.size());
  double difference = 0;
  double size = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    difference += std::pow(got[i] - expected[i], 2);
    size += std::pow(expected[i], 2);
  }
  return std::sqrt(difference / size);
}

}  // namespace

TEST_CASE("a cache in another format changes logits as little as its bits say, on all machines") {
  const Format& format = kFormats[GENERATE(0, 1, 2)];
  struct Shape {
    int64_t prompt;
    int64_t context;
    int64_t window;
  };
  // A short prompt; one of several tiles; with a window; a step that reads runs of slots.
  const Shape shape =
      GENERATE(Shape{3, 20, 0}, Shape{30, 70, 0}, Shape{30, 70, 9}, Shape{600, 1100, 0});
  const auto graphs = PromptAndStep(shape.prompt, shape.context, shape.window);
  const BuiltPlan exact_plan = BuildPlan(graphs, {});
  const auto exact = Open(exact_plan);
  RunTinyModel(*exact, 0, false, 0);
  const std::vector<float> expected = RunTinyModel(*exact, shape.prompt, false, 1);

  const BuiltPlan plan = BuildPlan(graphs, {.part_count = 2, .kv_cache = format.type});
  CHECK(ReadProgram(plan.program, "tiny.bin")->state_bytes <
        ReadProgram(exact_plan.program, "tiny.bin")->state_bytes * 6 / 10);
  std::vector<float> first;
  for (const Isa isa : SupportedIsas()) {
    INFO(KvCacheName(format.type) << " on " << IsaName(isa) << ", prompt " << shape.prompt);
    const auto session = Open(plan, {.isa = isa});
    RunTinyModel(*session, 0, false, 0);
    const std::vector<float> got = RunTinyModel(*session, shape.prompt, false, 1);
    const double difference = RelativeDifference(got, expected);
    CHECK(difference < 4 * format.relative);
    CHECK(difference > format.relative / 200);  // it is in use
    if (first.empty()) first = got;
    CHECK(RelativeDifference(got, first) < 2 * format.relative);
  }
}

TEST_CASE("a cache holds what its format makes of the keys and values") {
  const Format& format = kFormats[GENERATE(0, 1, 2)];
  const auto graphs = PromptAndStep(30, 70, 0);
  const BuiltPlan exact_plan = BuildPlan(graphs, {});
  const BuiltPlan plan = BuildPlan(graphs, {.kv_cache = format.type});
  const auto exact = Open(exact_plan);
  const auto session = Open(plan);
  RunTinyModel(*exact, 0, false, 0);
  RunTinyModel(*session, 0, false, 0);
  for (const char* name :
       {"past_key.0", "past_value.0"}) {  // of the first layer: nothing is rounded before
    INFO(name << " in " << KvCacheName(format.type));
    const std::vector<float> got = *session->ReadState(name);
    const std::vector<float> kept = *exact->ReadState(name);
    REQUIRE(got.size() == kept.size());
    const CacheLayout layout = {.format = format.stored, .slots = 1, .channels = kTinyHeadSize};
    std::vector<std::byte> slot(static_cast<size_t>(layout.head_bytes()));
    std::vector<std::byte> scratch(static_cast<size_t>(layout.scratch_bytes()));
    std::vector<float> expected(static_cast<size_t>(kTinyHeadSize));
    for (size_t row = 0; row < kept.size(); row += expected.size()) {
      WriteCacheSlot(KernelsFor(Isa::scalar), layout, kept.data() + row, slot.data(), 0,
                     scratch.data());
      ReadCacheSlot(layout, slot.data(), 0, expected.data());
      for (size_t e = 0; e < expected.size(); ++e) REQUIRE(got[row + e] == expected[e]);
    }
  }
}

TEST_CASE("results with a cache in another format do not depend on the number of threads") {
  const Format& format = kFormats[GENERATE(0, 1, 2)];
  const auto graphs = PromptAndStep(600, 1100, 0);
  std::vector<float> one;
  for (const int parts : {1, 3}) {
    const BuiltPlan plan = BuildPlan(graphs, {.part_count = parts, .kv_cache = format.type});
    for (const int threads : {1, 2}) {
      const auto session = Open(plan, {.thread_count = threads});
      RunTinyModel(*session, 0, false, 0);
      const std::vector<float> got = RunTinyModel(*session, 600, false, 1);
      if (one.empty()) one = got;
      CHECK(got == one);
    }
  }
}

TEST_CASE("bad_state that is no cache stays f32, and a model without caches is refused") {
  SpecializedGraph counter;
  counter.name = "Count";
  ir::Graph& graph = counter.graph;
  ir::Value* sum = graph.AddInput("sum", {DType::kF32, ir::Shape{2}});
  ir::Value* x = graph.AddInput("x", {DType::kF32, ir::Shape{2}});
  graph.AddOutput("sum_RetainedState", graph.Add({.op_type = "Add", .inputs = {sum, x}}));
  std::vector<SpecializedGraph> graphs;
  graphs.push_back(std::move(counter));
  const auto plan = CompileForCpu(graphs, {.kv_cache = KvCacheType::kMxint8});
  REQUIRE_FALSE(plan.ok());
  CHECK(plan.diagnostic().code == ErrorCode::kUnsupported);
  CHECK(plan.diagnostic().ToString() ==
        "--kv-cache: error: the model keeps no keys and values, only state like 'sum'\n"
        "note: leave it out");
}

TEST_CASE("bad_format of a cache in a program is refused") {
  const auto graphs = PromptAndStep(3, 20, 0);
  const BuiltPlan plan = BuildPlan(graphs, {.kv_cache = KvCacheType::kBf16});
  Program program = *ReadProgram(plan.program, "tiny.bin");
  program.states[0].format = static_cast<CacheFormat>(9);
  const std::string bytes = WriteProgram(program);
  const auto read = ReadProgram(std::as_bytes(std::span(bytes)), "tiny.bin");
  REQUIRE_FALSE(read.ok());
  CHECK(read.diagnostic().message == "a tensor of the program has an unknown dtype or layout");
  program.states[0].format = CacheFormat::kBf16;
  program.states.back().format = CacheFormat::kF32;  // needs twice the bytes that are left
  CHECK_FALSE(CheckProgram(program, "tiny.bin").ok());
}

}  // namespace qeff::cpu
