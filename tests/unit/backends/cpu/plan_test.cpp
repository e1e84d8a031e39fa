// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The planner and the runtime together: small decoders against the reference backend, and what must
// not change with threads, instruction sets and chunking.
#include <catch2/catch.hpp>
#include <cmath>

#include "backends/cpu/plan/arena.h"
#include "backends/reference/reference_session.h"
#include "tests/unit/backends/cpu/tiny_model.h"

namespace qeff::cpu {
namespace {

std::unique_ptr<Session> OpenReference(const SpecializedGraph& graph) {
  std::vector<reference::ReferenceSpecialization> specializations;
  specializations.push_back({graph.name, graph.symbols, graph.graph.Clone()});
  auto session = reference::MakeReferenceSession(std::move(specializations));
  REQUIRE(session.ok());
  return std::move(*session);
}

std::unique_ptr<Session> OpenCpu(const std::vector<SpecializedGraph>& graphs,
                                 const CpuCompileOptions& compile = {},
                                 const CpuRunOptions& run = {}) {
  static std::vector<std::unique_ptr<BuiltPlan>> plans;  // sessions refer to them
  plans.push_back(std::make_unique<BuiltPlan>(BuildPlan(graphs, compile)));
  auto session = OpenBuilt(*plans.back(), run);
  if (!session.ok()) FAIL(session.diagnostic().ToString());
  return std::move(*session);
}

void RequireClose(const std::vector<float>& got, const std::vector<float>& expected, float limit) {
  REQUIRE(got.size() == expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    INFO("logit " << i << ": expected " << expected[i] << ", got " << got[i]);
    REQUIRE(std::abs(got[i] - expected[i]) <= limit);
  }
}

std::vector<SpecializedGraph> One(const TinyModelOptions& options) {
  std::vector<SpecializedGraph> graphs;
  graphs.push_back(MakeTinyModel(options));
  return graphs;
}

}  // namespace

TEST_CASE("a decoder gives the reference's logits and state") {
  const TinyModelOptions cases[] = {{},
                                    {.tokens = 1},
                                    {.batch = 1, .tokens = 30, .has_qk_norm = true},
                                    {.is_tied = false, .has_bias = true},
                                    {.tokens = 14, .window = 4},
                                    {.tokens = 1, .experts = 5},
                                    {.tokens = 30, .experts = 3}};
  for (const TinyModelOptions& options : cases) {
    const auto graphs = One(options);
    const auto reference = OpenReference(graphs[0]);
    for (const Isa isa : SupportedIsas()) {
      INFO("tokens " << options.tokens << " on " << IsaName(isa));
      const auto session = OpenCpu(graphs, {.part_count = 2}, {.isa = isa});
      REQUIRE(reference->ResetState().ok());
      for (const int64_t first : {int64_t{0}, options.tokens - 1}) {
        const bool has_padding = options.tokens > 1;
        RequireClose(RunTinyModel(*session, first, has_padding),
                     RunTinyModel(*reference, first, has_padding), 2e-5f);
      }
      for (const char* name : {"past_key.1", "past_value.0"}) {
        const auto got = session->ReadState(name);
        const auto expected = reference->ReadState(name);
        REQUIRE((got.ok() && expected.ok()));
        RequireClose(*got, *expected, 2e-5f);
      }
    }
  }
}

TEST_CASE("results do not depend on the number of threads or of parts") {
  const int64_t experts = GENERATE(0, 4);
  const ComputeType compute = GENERATE(ComputeType::kF32, ComputeType::kBf16);
  const auto graphs = One({.batch = 2, .tokens = 20, .experts = experts});
  const auto compiled = [&](int parts) {
    return CpuCompileOptions{
        .part_count = parts, .weights = WeightStorage::kBf16, .compute = compute};
  };
  const auto one = OpenCpu(graphs, compiled(1));
  const std::vector<float> expected = RunTinyModel(*one, 0, true);
  for (const int parts : {2, 3, 7}) {
    for (const int threads : {1, 2, 3}) {
      const auto session = OpenCpu(graphs, compiled(parts), {.thread_count = threads});
      CHECK(RunTinyModel(*session, 0, true) == expected);
      REQUIRE(session->ResetState().ok());
      CHECK(RunTinyModel(*session, 0, true) == expected);
    }
  }
}

TEST_CASE("results do not depend on which thread takes which panels of a large product") {
  // 1,250 panels of 3 KiB, of which at least 171 are taken at a time.
  const auto graphs = One({.batch = 2, .tokens = 1, .vocabulary = 40000});
  const auto one = OpenCpu(graphs, {.part_count = 1});
  const std::vector<float> expected = RunTinyModel(*one, 0, false);
  for (const Isa isa : SupportedIsas()) {
    const auto alone = OpenCpu(graphs, {.part_count = 3}, {.thread_count = 1, .isa = isa});
    const std::vector<float> logits = RunTinyModel(*alone, 0, false);
    RequireClose(logits, expected, 2e-5f);
    for (const int threads : {2, 3}) {
      const auto session =
          OpenCpu(graphs, {.part_count = 3}, {.thread_count = threads, .isa = isa});
      for (int run = 0; run < 5; ++run) {
        REQUIRE(session->ResetState().ok());
        CHECK(RunTinyModel(*session, 0, false) == logits);
      }
    }
  }
}

TEST_CASE("results stay the same when runs of a session have different numbers of threads") {
  const auto graphs = One({.batch = 2, .tokens = 1, .vocabulary = 40000});
  const auto one = OpenCpu(graphs, {.part_count = 1});
  const std::vector<float> expected = RunTinyModel(*one, 0, false);
  int count = 3;
  const auto session = OpenCpu(graphs, {.part_count = 3},
                               {.thread_count = 3, .count_of_run = [&count] { return count; }});
  for (const int next : {3, 2, 1, 3, 1, 2, 2, 3}) {
    count = next;
    REQUIRE(session->ResetState().ok());
    CHECK(RunTinyModel(*session, 0, false) == expected);
  }
}

TEST_CASE("prefill and decode share state and constants") {
  std::vector<SpecializedGraph> graphs = One({.tokens = 6});
  graphs.push_back(MakeTinyModel({.tokens = 1}));
  const BuiltPlan both = BuildPlan(graphs, {});
  graphs.pop_back();
  CHECK(both.constants.size() == BuildPlan(graphs, {}).constants.size());
  auto session = OpenBuilt(both);
  REQUIRE(session.ok());
  RunTinyModel(**session, 0, false, 0);
  const std::vector<float> continued = RunTinyModel(**session, 6, false, 1);
  const auto whole = OpenCpu(One({.tokens = 7}));
  RequireClose(continued, RunTinyModel(*whole, 0, false), 2e-5f);
}

TEST_CASE("a long cache is read in runs of slots, with the same result on any number of threads") {
  // 600 slots are two runs of three; the call of all tokens is not split.
  constexpr int64_t kPrompt = 600;
  const int64_t window = GENERATE(0, 70);
  std::vector<SpecializedGraph> graphs =
      One({.tokens = kPrompt, .context = 1100, .window = window});
  graphs.push_back(MakeTinyModel({.tokens = 1, .context = 1100, .window = window}));
  const auto whole = OpenCpu(One({.tokens = kPrompt + 1, .context = 1100, .window = window}));
  const std::vector<float> expected = RunTinyModel(*whole, 0, false);
  std::vector<float> with_one_thread;
  for (const int parts : {1, 2, 5}) {
    const auto session = OpenCpu(graphs, {.part_count = parts}, {.thread_count = 2});
    RunTinyModel(*session, 0, false, 0);
    const std::vector<float> continued = RunTinyModel(*session, kPrompt, false, 1);
    RequireClose(continued, expected, 2e-5f);
    if (parts == 1) with_one_thread = continued;
    CHECK(continued == with_one_thread);
  }
}

TEST_CASE("weights that are bf16 values are kept as bf16 without a difference") {
  const int64_t experts = GENERATE(0, 4);
  const auto graphs = One({.tokens = GENERATE(5, 20), .experts = experts});
  const auto as_f32 = OpenCpu(graphs, {.weights = WeightStorage::kF32});
  const auto rounded = OpenCpu(graphs, {.weights = WeightStorage::kBf16});
  const auto rounded_rows =
      OpenCpu(graphs, {.weights = WeightStorage::kBf16, .compute = ComputeType::kBf16});
  const std::vector<float> expected = RunTinyModel(*as_f32, 0, false);
  RequireClose(RunTinyModel(*rounded, 0, false), expected, 0.2f);
  RequireClose(RunTinyModel(*rounded_rows, 0, false), expected, 0.3f);
  const auto halves = OpenCpu(graphs, {.weights = WeightStorage::kF16});
  const std::vector<float> of_halves = RunTinyModel(*halves, 0, false);
  RequireClose(of_halves, expected, 0.03f);
  CHECK(of_halves != expected);  // they are in use
  CHECK(BuildPlan(graphs, {.weights = WeightStorage::kAuto}).constants.size() ==
        BuildPlan(graphs, {.weights = WeightStorage::kF32}).constants.size());
}

TEST_CASE("quantised weights change a decoder as little as their bits say, alike on all machines") {
  struct Bound {
    WeightStorage storage;
    double relative;  // of the root mean squares of difference and logits
  };
  const Bound bound =
      GENERATE(Bound{WeightStorage::kInt8, 0.05}, Bound{WeightStorage::kMxfp6, 0.08},
               Bound{WeightStorage::kInt4, 0.2});
  const auto options = GENERATE(TinyModelOptions{}, TinyModelOptions{.tokens = 1},
                                TinyModelOptions{.tokens = 30, .is_tied = false, .has_bias = true},
                                TinyModelOptions{.tokens = 20, .experts = 3});
  const auto graphs = One(options);
  const auto exact = OpenCpu(graphs, {.weights = WeightStorage::kF32});
  const std::vector<float> expected = RunTinyModel(*exact, 0, false);
  const auto first = OpenCpu(graphs, {.part_count = 1, .weights = bound.storage});
  const std::vector<float> one = RunTinyModel(*first, 0, false);
  double difference = 0;
  double size = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    difference += std::pow(one[i] - expected[i], 2);
    size += std::pow(expected[i], 2);
  }
  INFO(WeightStorageName(bound.storage) << ": " << std::sqrt(difference / size));
  CHECK(std::sqrt(difference / size) < bound.relative);
  CHECK(std::sqrt(difference / size) > bound.relative / 50);  // they are in use
  const auto threads =
      OpenCpu(graphs, {.part_count = 3, .weights = bound.storage}, {.thread_count = 2});
  CHECK(RunTinyModel(*threads, 0, false) == one);
  for (const Isa isa : SupportedIsas()) {
    INFO(IsaName(isa));
    const auto session = OpenCpu(graphs, {.weights = bound.storage}, {.isa = isa});
    // Matrix tiles round most rows to bf16, the others quantise them.
    const bool rows_differ = (isa == Isa::amx) != (MachineIsa() == Isa::amx);
    RequireClose(RunTinyModel(*session, 0, false), one, rows_differ ? 0.05f : 0.02f);
  }
}

TEST_CASE("bad_token_id is an error that names the value") {
  const auto session = OpenCpu(One({}));
  RunTinyModel(*session, 0, false);
  const int64_t id = 70000;
  std::memcpy(session->Input(0, "input_ids").data(), &id, sizeof(id));
  const Status status = session->Run(0);
  REQUIRE_FALSE(status.ok());
  CHECK(status.code() == ErrorCode::kInvalidInput);
  CHECK(status.diagnostic().message == "index 70000 is not in [0, 50)");
}

TEST_CASE("bad_op without a kernel is reported with its name") {
  ir::Graph graph;
  ir::Value* x = graph.AddInput("x", {DType::kF32, ir::Shape{2}});
  graph.AddOutput("y", graph.Add({.op_type = "NoSuchOp", .inputs = {x}, .name = "odd"}));
  Diagnostics diagnostics;
  CheckCpuSupport(graph, "m.onnx", diagnostics);
  REQUIRE(diagnostics.error_count() == 1);
  CHECK(diagnostics.findings()[0].ToString() ==
        "m.onnx: node 'odd' (#0): error: op 'NoSuchOp' has no kernel on the cpu\n"
        "note: compile with --backend reference, which runs any graph");
}

TEST_CASE("buffers that live at the same time never share memory") {
  std::vector<Lifetime> lifetimes;
  uint32_t seed = 1;
  const auto next = [&seed](uint32_t limit) {
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % limit;
  };
  for (int i = 0; i < 300; ++i) {
    const int64_t first = next(100);
    lifetimes.push_back({next(5000), first, first + next(10)});
  }
  const ArenaPlan plan = PlaceInArena(lifetimes);
  uint64_t most_alive = 0;
  for (int64_t step = 0; step < 110; ++step) {
    uint64_t alive = 0;
    for (const Lifetime& life : lifetimes) {
      if (life.first_step <= step && step <= life.last_step) alive += life.size_bytes;
    }
    most_alive = std::max(most_alive, alive);
  }
  for (size_t a = 0; a < lifetimes.size(); ++a) {
    CHECK(plan.offsets_bytes[a] % kBufferAlignment == 0);
    CHECK(plan.offsets_bytes[a] + lifetimes[a].size_bytes <= plan.size_bytes);
    for (size_t b = 0; b < a; ++b) {
      const bool together = lifetimes[a].first_step <= lifetimes[b].last_step &&
                            lifetimes[b].first_step <= lifetimes[a].last_step;
      const bool apart = plan.offsets_bytes[a] + lifetimes[a].size_bytes <= plan.offsets_bytes[b] ||
                         plan.offsets_bytes[b] + lifetimes[b].size_bytes <= plan.offsets_bytes[a];
      if (together && !apart) FAIL("buffers " << a << " and " << b << " overlap");
    }
  }
  CHECK(plan.size_bytes < most_alive * 3 / 2);
}

}  // namespace qeff::cpu
