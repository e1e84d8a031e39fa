// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/checkpoint/rope.h"

#include <algorithm>
#include <bit>
#include <catch2/catch.hpp>

#include "lib/support/json.h"

namespace qeff::checkpoint {
namespace {

// torch's vectorised pow is allowed one unit in the last place, and the interpolation adds one.
constexpr int kMaxUlps = 2;

int Ulps(float a, float b) {
  return std::abs(std::bit_cast<int32_t>(a) - std::bit_cast<int32_t>(b));
}

/// Returns the largest distance in units in the last place, or INT_MAX if the lengths differ.
int LargestDistance(const std::vector<float>& got, const Json& expected) {
  if (got.size() != expected.size()) return std::numeric_limits<int>::max();
  int largest = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    largest = std::max(largest, Ulps(got[i], expected[i].get<float>()));
  }
  return largest;
}

Result<RopeConfig> ReadFrom(const Json& config, const RopeOptions& options = {}) {
  QEFF_ASSIGN_OR_RETURN(const ConfigReader reader,
                        ConfigReader::Parse(config.dump(), "config.json"));
  return ReadRope(reader, options);
}

TEST_CASE(
    "frequencies and attention factors are those of transformers, from both styles of config") {
  Result<Json> file = ReadJsonFile("tests/data/checkpoint/rope_cases.json");
  REQUIRE(file.ok());
  const Json& cases = file->at("cases");
  REQUIRE(cases.size() >= 20);
  for (const Json& test : cases) {
    for (const char* style : {"config", "config_v4"}) {
      CAPTURE(test.at("name").get<std::string>(), style);
      Result<RopeConfig> config = ReadFrom(test.at(style));
      if (!config.ok()) FAIL(config.diagnostic().ToString());
      const auto head_dim = test.at("head_dim").get<int64_t>();
      const auto positions = test.at("max_position_embeddings").get<int64_t>();
      Result<RopeTable> table = ComputeRope(*config, head_dim, positions);
      if (!table.ok()) FAIL(table.diagnostic().ToString());
      CHECK(LargestDistance(table->inverse_frequencies, test.at("inv_freq")) <= kMaxUlps);
      CHECK(Ulps(table->attention_scaling, test.at("attention_scaling").get<float>()) <= 1);
      CHECK(table->rotary_dim == static_cast<int64_t>(2 * table->inverse_frequencies.size()));
      for (const auto& item : test.at("at_length").items()) {
        CAPTURE(item.key());
        Result<std::vector<float>> at =
            RopeFrequenciesAt(*config, head_dim, positions, std::stoll(item.key()));
        REQUIRE(at.ok());
        CHECK(LargestDistance(*at, item.value()) <= kMaxUlps);
        if (std::stoll(item.key()) > table->long_from_tokens && table->long_from_tokens > 0) {
          CHECK(table->long_inverse_frequencies == *at);
        }
      }
    }
  }
}

TEST_CASE("rope_parameters with one object per layer type gives the family's layer type") {
  const Json config = {
      {"rope_parameters",
       {{"full_attention", {{"rope_type", "linear"}, {"factor", 8}, {"rope_theta", 1e6}}},
        {"sliding_attention", {{"rope_type", "default"}, {"rope_theta", 10000}}}}}};
  Result<RopeConfig> full = ReadFrom(config, {.layer_type = "full_attention"});
  REQUIRE(full.ok());
  REQUIRE(full->type == RopeType::kLinear);
  REQUIRE(full->theta == 1e6);
  REQUIRE(*full->factor == 8);
  Result<RopeConfig> sliding = ReadFrom(config, {.layer_type = "sliding_attention"});
  REQUIRE(sliding.ok());
  REQUIRE(sliding->type == RopeType::kDefault);
  REQUIRE(sliding->theta == 10000);
  Json with_leftovers = config;
  with_leftovers["rope_parameters"]["rope_type"] = "default";
  with_leftovers["rope_parameters"]["rope_theta"] = nullptr;
  full = ReadFrom(with_leftovers, {.layer_type = "full_attention"});
  REQUIRE(full.ok());
  REQUIRE(full->theta == 1e6);
  Result<RopeConfig> none = ReadFrom(config);
  REQUIRE_FALSE(none.ok());
  REQUIRE(none.diagnostic().ToString() ==
          "config.json: error: key 'rope_parameters': expected one object for all layers, got one "
          "per layer "
          "type\nnote: it has: full_attention, sliding_attention");
}

TEST_CASE("a proportional rotation turns the first pairs as the whole head's, the others not") {
  // Frequencies of transformers 5.5.4's formula in numpy: 1 / base^(arange(0, 2 n, 2) / size),
  // zeros.
  const Result<RopeConfig> rope = ReadFrom({{"rope_parameters",
                                             {{"rope_type", "proportional"},
                                              {"partial_rotary_factor", 0.25},
                                              {"factor", 2},
                                              {"rope_theta", 1e4}}}});
  REQUIRE(rope.ok());
  const Result<RopeTable> table = ComputeRope(*rope, 16, 64);
  REQUIRE(table.ok());
  REQUIRE(table->rotary_dim == 16);
  REQUIRE(table->attention_scaling == 1);
  REQUIRE(table->inverse_frequencies.size() == 8);
  CHECK(table->inverse_frequencies[0] == 0.5F);
  CHECK(table->inverse_frequencies[1] == Approx(0.15811388));
  for (size_t i = 2; i < 8; ++i) CHECK(table->inverse_frequencies[i] == 0);
  const Result<RopeConfig> absent =
      ReadFrom(Json::object(),
               {.default_type = RopeType::kProportional, .default_partial_rotary_factor = 0.5});
  REQUIRE(absent.ok());
  REQUIRE(*absent->factor == 1);
}

TEST_CASE("transformers 4 spells gemma3's two bases as two keys, scaling only the first") {
  const Json config = {{"rope_theta", 1e6},
                       {"rope_local_base_freq", 10000},
                       {"rope_scaling", {{"rope_type", "linear"}, {"factor", 8.0}}}};
  Result<RopeConfig> full = ReadFrom(config, {.layer_type = "full_attention"});
  REQUIRE(full.ok());
  REQUIRE(full->type == RopeType::kLinear);
  REQUIRE(full->theta == 1e6);
  Result<RopeConfig> sliding = ReadFrom(config, {.layer_type = "sliding_attention",
                                                 .theta_key = "rope_local_base_freq",
                                                 .uses_rope_scaling = false});
  REQUIRE(sliding.ok());
  REQUIRE(sliding->type == RopeType::kDefault);
  REQUIRE(sliding->theta == 10000);
}

TEST_CASE("values beside and inside the rope object, old names and defaults") {
  Result<RopeConfig> rope = ReadFrom(Json::object(), {.default_theta = 5e5});
  REQUIRE(rope.ok());
  REQUIRE(rope->type == RopeType::kDefault);
  REQUIRE(rope->theta == 5e5);
  REQUIRE(rope->partial_rotary_factor == 1);

  rope = ReadFrom({{"rope_theta", nullptr}, {"rope_scaling", nullptr}, {"rotary_pct", 0.25}});
  REQUIRE(rope.ok());
  REQUIRE(rope->theta == 10000);
  REQUIRE(rope->partial_rotary_factor == 0.25);

  rope = ReadFrom(
      {{"rope_theta", 5},
       {"partial_rotary_factor", 0.5},
       {"rope_parameters",
        {{"type", "linear"}, {"factor", 2}, {"rope_theta", 7}, {"partial_rotary_factor", 0.75}}}});
  REQUIRE(rope.ok());
  REQUIRE(rope->type == RopeType::kLinear);
  REQUIRE(rope->theta == 7);
  REQUIRE(rope->partial_rotary_factor == 0.75);

  rope = ReadFrom({{"rotary_pct", 0.25}, {"rope_parameters", {{"partial_rotary_factor", 0.75}}}});
  REQUIRE(rope.ok());
  REQUIRE(rope->partial_rotary_factor == 0.75);

  rope = ReadFrom({{"rope_scaling", Json::object()}, {"rope_parameters", {{"rope_theta", 9}}}});
  REQUIRE(rope.ok());
  REQUIRE(rope->theta == 9);

  rope =
      ReadFrom({{"original_max_position_embeddings", 64},
                {"rope_scaling", {{"type", "su"}, {"short_factor", {1}}, {"long_factor", {2}}}}});
  REQUIRE(rope.ok());
  REQUIRE(rope->type == RopeType::kLongrope);
  REQUIRE(*rope->original_max_position_embeddings == 64);
}

std::string ReadError(const Json& scaling) {
  Result<RopeConfig> rope = ReadFrom({{"rope_scaling", scaling}});
  return rope.ok() ? "" : rope.diagnostic().ToString();
}

TEST_CASE("bad_rope_type names the known ones") {
  REQUIRE(ReadError({{"rope_type", "mystery"}}) ==
          "config.json: error: key 'rope_scaling.rope_type': unknown rope type 'mystery'\nnote: "
          "known types: "
          "default, linear, dynamic, yarn, llama3, longrope, proportional");
  REQUIRE(ReadError({{"type", "mystery"}}).find("key 'rope_scaling.type'") != std::string::npos);
  Result<RopeConfig> rope = ReadFrom({{"rope_scaling", {{"rope_type", "mystery"}}}});
  REQUIRE(rope.diagnostic().code == ErrorCode::kUnsupported);
}

TEST_CASE("bad_rope values: missing, wrong type, not positive") {
  REQUIRE(ReadError({{"rope_type", "linear"}}) ==
          "config.json: error: key 'rope_scaling.factor' is missing");
  REQUIRE(ReadError({{"rope_type", "dynamic"}, {"factor", 0}}) ==
          "config.json: error: key 'rope_scaling.factor': expected more than 0, got 0");
  REQUIRE(ReadError({{"rope_type", "linear"}, {"factor", "2"}}) ==
          "config.json: error: key 'rope_scaling.factor': expected a number, got \"2\"");
  REQUIRE(ReadError({{"rope_type", "yarn"}}) ==
          "config.json: error: key 'rope_scaling.factor': is missing, rope type 'yarn' needs it");
  REQUIRE(ReadError({{"rope_type", "yarn"}, {"factor", 2}, {"rope_theta", 1}}) ==
          "config.json: error: key 'rope_scaling.rope_theta': rope type 'yarn' needs more than 1, "
          "got 1");
  REQUIRE(ReadError({{"rope_type", "yarn"}, {"factor", 2}, {"beta_fast", -1}}) ==
          "config.json: error: key 'rope_scaling.beta_fast': expected more than 0, got -1");
  REQUIRE(ReadError({{"rope_type", "yarn"}, {"factor", 2}, {"original_max_position_embeddings", 0}})
              .find("key 'rope_scaling.original_max_position_embeddings': expected 1 to") !=
          std::string::npos);
  REQUIRE(ReadError({{"rope_type", "llama3"}, {"factor", 8}, {"low_freq_factor", 1}}) ==
          "config.json: error: key 'rope_scaling.high_freq_factor' is missing");
  REQUIRE(ReadError({{"rope_type", "llama3"},
                     {"factor", 8},
                     {"low_freq_factor", 4},
                     {"high_freq_factor", 3}}) ==
          "config.json: error: key 'rope_scaling.high_freq_factor': expected low_freq_factor 4 or "
          "more, got 3");
  REQUIRE(ReadError({{"rope_type", "longrope"}, {"short_factor", {1}}}) ==
          "config.json: error: key 'rope_scaling.long_factor': is missing, rope type 'longrope' "
          "needs it");
  REQUIRE(
      ReadError({{"rope_type", "longrope"}, {"short_factor", {1, 0}}, {"long_factor", {1, 1}}}) ==
      "config.json: error: key 'rope_scaling.short_factor[1]': expected more than 0, got 0");
  REQUIRE(ReadError(Json(5)) ==
          "config.json: error: key 'rope_scaling': expected an object, got 5");
  Result<RopeConfig> rope = ReadFrom({{"rope_theta", 0}});
  REQUIRE(rope.diagnostic().ToString() ==
          "config.json: error: key 'rope_theta': expected more than 0, got 0");
  rope = ReadFrom({{"partial_rotary_factor", 1.5}});
  REQUIRE(rope.diagnostic().message ==
          "key 'partial_rotary_factor': the rotated part of a head must be at most 1, got 1.5");
}

TEST_CASE("bad_rope sizes: odd heads and lists of the wrong length") {
  const auto error = [](const RopeConfig& config, int64_t head_dim, int64_t positions) {
    Result<RopeTable> table = ComputeRope(config, head_dim, positions);
    return table.ok() ? "" : table.diagnostic().ToString();
  };
  RopeConfig config{.file = "config.json", .key = "rope_scaling"};
  REQUIRE(error(config, 5, 16) ==
          "config.json: error: key 'rope_scaling': the rotated part of a head must have an even "
          "number of "
          "elements, got 5 (head size 5, rotated part 1)");
  REQUIRE(error(config, 0, 16).find("even number of elements, got 0") != std::string::npos);
  REQUIRE(error(config, 8, 0).find("'max_position_embeddings' must be positive") !=
          std::string::npos);
  config.type = RopeType::kLongrope;
  config.short_factor = {1, 1};
  config.long_factor = {1, 1, 1};
  REQUIRE(error(config, 4, 16) ==
          "config.json: error: key 'rope_scaling': 'long_factor' needs 2 numbers (one per rotated "
          "pair of the "
          "head), got 3");
  config.long_factor = {1, 1};
  REQUIRE(error(config, 4, 16).empty());
  config.original_max_position_embeddings = 1;
  REQUIRE(error(config, 4, 16).find("is not a number") != std::string::npos);
  config.type = RopeType::kDynamic;
  config.factor = 2;
  REQUIRE(error(config, 2, 16).find("needs more than 2 rotated elements") != std::string::npos);
}

}  // namespace
}  // namespace qeff::checkpoint
