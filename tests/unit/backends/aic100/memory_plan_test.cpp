// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/aic100/memory_plan.h"

#include <catch2/catch.hpp>

namespace qeff::aic100 {
namespace {

TEST_CASE("elements of a graph are counted by what they are for") {
  ir::Graph graph;
  ir::Value* x = graph.AddInput("x", {DType::kF32, ir::Shape{"batch_size", "seq_len", 4}});
  ir::Value* past =
      graph.AddInput("past_key.0", {DType::kF32, ir::Shape{"batch_size", 2, "ctx_len", 8}});
  const std::vector<float> zeros(24);
  ir::Value* matrix = graph.AddConstant("w", ir::MakeFloats({4, 6}, zeros));
  ir::Value* bias = graph.AddConstant("b", ir::MakeFloats({6}, std::span(zeros).first(6)));
  ir::Value* y = graph.Add({.domain = "", .op_type = "MatMul", .inputs = {x, matrix}});
  y = graph.Add({.domain = "", .op_type = "Add", .inputs = {y, bias}});
  graph.AddOutput("y", y);
  graph.AddOutput("past_key.0_RetainedState", past);
  const auto size = MeasureModel(graph, {{"batch_size", 3}, {"seq_len", 5}, {"ctx_len", 7}});
  REQUIRE(size.ok());
  CHECK(size->matrix_elements == 24);
  CHECK(size->other_elements == 6);
  CHECK(size->state_elements == 3 * 2 * 7 * 8);
  CHECK(size->state_heads == 2);
  CHECK(size->activation_elements == (4 + 6) * 3 * 5);
  CHECK(size->rows == 3);
  CHECK_FALSE(MeasureModel(graph, {{"batch_size", 3}}).ok());
}

TEST_CASE("the cards that are built in have the vendor's published figures") {
  // Of a whole card: devices, cores, GB of memory, GB/s, MB of on-chip memory, f16 peak in TFLOPS.
  struct Card {
    const char* target;
    int64_t devices;
    int64_t cores;
    double gigabytes;
    double gigabytes_per_second;
    double sram_megabytes;
    double f16_teraflops;
  };
  const Card published[] = {{"ai100-standard", 1, 14, 16, 137, 126, 110},
                            {"ai100-pro", 1, 16, 32, 137, 144, 125},
                            {"ai100-ultra", 4, 64, 128, 548, 576, 290}};
  for (const Card& card : published) {
    INFO(card.target);
    const auto target = ReadTarget(card.target);
    REQUIRE(target.ok());
    const auto devices = static_cast<double>(target->devices_per_card);
    CHECK(target->devices_per_card == card.devices);
    CHECK(target->devices_per_card * target->cores_per_device == card.cores);
    CHECK(devices * static_cast<double>(*target->ddr_bytes) == card.gigabytes * (1 << 30));
    CHECK(devices * *target->ddr_bytes_per_second == card.gigabytes_per_second * 1e9);
    CHECK(devices * *target->f16_flops == card.f16_teraflops * 1e12);
    // Of the 9 MB of a core 8 are VTCM.
    CHECK(static_cast<double>(card.cores * target->vtcm_bytes_per_core) ==
          card.sram_megabytes * 8 / 9 * (1 << 20));
  }
  const auto small = ReadTarget("ai080-ultra");
  REQUIRE(small.ok());
  CHECK(small->devices_per_card * small->cores_per_device == 32);
  CHECK_FALSE(small->ddr_bytes);
  CHECK_FALSE(small->ddr_bytes_per_second);
  CHECK_FALSE(small->f16_flops);
  CHECK(TargetNames().size() == std::size(published) + 1);
}

// By hand: 8e9 matrix elements, 5e8 others, 1e9 of state in 8 heads, on AI 100 Pro.
TEST_CASE("memory and time of a model that has to be read from DDR") {
  const auto target = ReadTarget("ai100-pro");
  REQUIRE(target.ok());
  const ModelSize size{.matrix_elements = 8'000'000'000,
                       .other_elements = 500'000'000,
                       .state_elements = 1'000'000'000,
                       .state_heads = 8,
                       .activation_elements = 1000,
                       .rows = 1};
  const auto f16 = PlanDevices(size, *target, 16, {});
  REQUIRE(f16.size() == 5);
  CHECK(f16[0].weight_bytes == Approx(17e9));
  CHECK(f16[0].state_bytes == Approx(2e9));
  CHECK(f16[0].rejected.empty());
  CHECK(*f16[0].token_seconds == Approx(19e9 / 137e9));
  CHECK(f16[1].weight_bytes == Approx(16e9 / 2 + 1e9));
  // 16 devices, 8 heads: two devices hold the same head.
  CHECK(f16[4].state_bytes == Approx(2e9 / 8));
  const auto packed =
      PlanDevices(size, *target, 16, {.mxfp6_matmul = true, .mxint8_kv_cache = true});
  CHECK(packed[0].weight_bytes == Approx(6.25e9 + 1e9));
  CHECK(packed[0].state_bytes == Approx(1.03125e9));
}

TEST_CASE("a model that stays on the chip is bound by compute") {
  const auto target = ReadTarget("ai100-pro");
  REQUIRE(target.ok());
  const ModelSize size{.matrix_elements = 50'000'000, .rows = 8};
  const auto plans = PlanDevices(size, *target, 16, {});
  // 100e6 bytes over 16 cores are 6.25e6 each, VTCM has 8 MiB.
  CHECK(plans[0].fits_on_chip);
  CHECK(*plans[0].token_seconds == Approx(2 * 50e6 * 8 / 125e12));
  // Half of the cores: 12.5e6 bytes each do not fit, half of the peak.
  const auto half = PlanDevices(size, *target, 8, {});
  CHECK_FALSE(half[0].fits_on_chip);
  CHECK(*half[0].token_seconds == Approx(100e6 / 137e9));
}

TEST_CASE("what does not fit is rejected with the reason; unpublished numbers stay unknown") {
  const ModelSize size{.matrix_elements = 16'000'000'000};
  const auto standard = PlanDevices(size, *ReadTarget("ai100-standard"), 0, {});
  CHECK(standard[0].rejected == "needs 30517.6 MiB, a device has 16384.0");
  CHECK(standard[1].rejected.empty());
  const auto unknown = PlanDevices(size, *ReadTarget("ai080-ultra"), 0, {});
  CHECK(unknown[0].rejected == "the card's memory is not published");
  CHECK_FALSE(unknown[0].token_seconds);
}

TEST_CASE("bad_target: no such card") {
  const auto target = ReadTarget("ai100-giga");
  REQUIRE_FALSE(target.ok());
  CHECK(target.diagnostic().message == "there is no card 'ai100-giga' and no such file");
  CHECK(target.diagnostic().notes[0] ==
        "cards: ai080-ultra, ai100-pro, ai100-standard, ai100-ultra");
}

}  // namespace
}  // namespace qeff::aic100
