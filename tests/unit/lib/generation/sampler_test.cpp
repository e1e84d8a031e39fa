// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/generation/sampler.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "lib/generation/random.h"
#include "lib/support/json.h"

namespace qeff {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

SamplingOptions OptionsFromJson(const Json& json) {
  return {.sample = json["do_sample"].get<bool>(),
          .temperature = json["temperature"].get<double>(),
          .top_k = json["top_k"].get<int64_t>(),
          .top_p = json["top_p"].get<double>(),
          .min_p = json["min_p"].get<double>(),
          .repetition_penalty = json["repetition_penalty"].get<double>()};
}

/// Returns the share of each id in `draws` draws.
std::vector<double> Shares(const SamplingOptions& options, const std::vector<float>& logits,
                           int draws) {
  std::vector<double> shares(logits.size());
  Sampler sampler(options, 0);
  for (int i = 0; i < draws; ++i) shares[sampler.Next(logits).value()] += 1.0 / draws;
  return shares;
}

}  // namespace

TEST_CASE("philox gives the known answers of its authors") {
  using Words = std::array<uint32_t, 4>;
  constexpr uint32_t kOnes = 0xffffffffu;
  CHECK(Philox4x32({0, 0, 0, 0}, {0, 0}) ==
        Words{0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u});
  CHECK(Philox4x32({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}) ==
        Words{0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu});
  CHECK(Philox4x32({0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u},
                   {0xa4093822u, 0x299f31d0u}) ==
        Words{0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u});
}

TEST_CASE("scores are those of transformers") {
  const Json file = ReadJsonFile("tests/unit/lib/generation/sampler_vectors.json").value();
  REQUIRE(file["cases"].size() == 32);
  for (const Json& expected : file["cases"]) {
    INFO(expected["options"].dump());
    const auto logits = expected["logits"].get<std::vector<float>>();
    Sampler sampler(OptionsFromJson(expected["options"]), 0);
    for (const Json& id : expected["history"]) sampler.Remember(id.get<int64_t>());
    const auto result = sampler.Scores(logits);
    REQUIRE(result.ok());
    const std::span<const float> scores = result.value();
    REQUIRE(scores.size() == logits.size());
    for (size_t i = 0; i < scores.size(); ++i) {
      const Json& score = expected["scores"][i];
      INFO(i);
      if (score.is_null()) {
        CHECK(scores[i] == -kInfinity);
      } else {
        CHECK(scores[i] == score.get<float>());
      }
    }
    if (!expected["options"]["do_sample"].get<bool>()) {
      CHECK(sampler.Next(logits).value() == expected["argmax"].get<int64_t>());
    }
  }
}

TEST_CASE("top-p keeps no token whose predecessors already sum to it") {
  const auto kept = [](double top_p, size_t tokens) {
    Sampler sampler({.sample = true, .top_p = top_p}, 0);
    const std::vector<float> logits(tokens, 1.0f);
    const std::span<const float> scores = sampler.Scores(logits).value();
    return std::ranges::count(scores, 1.0f);
  };
  CHECK(kept(0.5, 2) == 1);
  CHECK(kept(0.75, 4) == 3);
  CHECK(kept(0.7500001, 4) == 4);
}

TEST_CASE("greedy takes the first of equal maxima") {
  Sampler sampler({}, 0);
  CHECK(sampler.Next(std::vector<float>{-1, 3, 3, 2}).value() == 1);
  CHECK(sampler.Next(std::vector<float>{-kInfinity, -7}).value() == 1);
  CHECK(sampler.Next(std::vector<float>{0, kInfinity, 1}).value() == 1);
}

TEST_CASE("the repetition penalty counts chosen tokens") {
  Sampler sampler({.repetition_penalty = 2.0}, 0);
  const std::vector<float> logits = {3.0f, 2.0f, 1.0f};
  CHECK(sampler.Next(logits).value() == 0);
  CHECK(sampler.Next(logits).value() == 1);
  CHECK(sampler.Next(logits).value() == 0);
}

TEST_CASE("draws follow the probabilities") {
  const std::vector<float> logits = {std::log(0.5f), -kInfinity, std::log(0.3f), std::log(0.2f)};
  const std::vector<double> shares = Shares({.sample = true, .seed = 5}, logits, 20000);
  CHECK(shares[0] == Approx(0.5).margin(0.015));
  CHECK(shares[1] == 0.0);
  CHECK(shares[2] == Approx(0.3).margin(0.015));
  CHECK(shares[3] == Approx(0.2).margin(0.015));
}

TEST_CASE("draws depend on seed, stream and step alone") {
  const std::vector<float> flat(1000, 0.5f);
  const auto draw = [&](uint64_t seed, uint64_t stream) {
    Sampler sampler({.sample = true, .seed = seed}, stream);
    std::vector<int64_t> ids;
    for (int i = 0; i < 5; ++i) ids.push_back(sampler.Next(flat).value());
    return ids;
  };
  CHECK(draw(1, 2) == draw(1, 2));
  CHECK(draw(1, 2) != draw(2, 2));
  CHECK(draw(1, 2) != draw(1, 3));
  // From the definition: floor(uniform * 1000) for equal weights.
  for (uint64_t step = 0; step < 5; ++step) {
    CHECK(draw(9, 4)[step] == static_cast<int64_t>(UniformDraw(9, 4, step) * 1000));
  }
}

TEST_CASE("a draw is the first kept id whose cumulated weight exceeds it") {
  std::vector<float> logits(64);
  for (size_t i = 0; i < logits.size(); ++i) logits[i] = static_cast<float>(i * 37 % 64) / 16.0f;
  const SamplingOptions options = {.sample = true, .top_p = 0.7, .min_p = 0.1, .seed = 8};
  Sampler sampler(options, 3);
  for (uint64_t step = 0; step < 200; ++step) {
    const std::span<const float> scores = sampler.Scores(logits).value();
    double total = 0.0;
    for (const float score : scores) total += std::exp(double{score});
    double left = UniformDraw(8, 3, step) * total;
    int64_t expected = -1;
    while (left >= 0.0) left -= std::exp(double{scores[++expected]});
    REQUIRE(sampler.Next(logits).value() == expected);
  }
}

TEST_CASE("a huge spread of logits is drawn from without overflow") {
  Sampler sampler({.sample = true, .temperature = 0.01}, 0);
  CHECK(sampler.Next(std::vector<float>{-3e37f, 3e36f, -1e30f}).value() == 1);
}

TEST_CASE("bad logits") {
  for (const bool sample : {false, true}) {
    Sampler sampler({.sample = sample}, 0);
    const auto nan = sampler.Next(std::vector<float>{1, std::nanf(""), 2});
    REQUIRE_FALSE(nan.ok());
    CHECK(nan.diagnostic().ToString() ==
          "tensor 'logits': error: the row that chooses the token holds NaN\n"
          "note: a 16-bit format may have overflowed: compile with float32, or check the "
          "checkpoint's weights");
    const auto nothing = sampler.Next(std::vector<float>{-kInfinity, -kInfinity});
    REQUIRE_FALSE(nothing.ok());
    CHECK(nothing.diagnostic().message ==
          "no value of the row that chooses the token is above -infinity");
  }
  Sampler sampler({.sample = true}, 0);
  CHECK_FALSE(sampler.Next(std::vector<float>{1, kInfinity}).ok());
}

}  // namespace qeff
