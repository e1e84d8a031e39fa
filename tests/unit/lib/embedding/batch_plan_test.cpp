// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/embedding/batch_plan.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>

namespace qeff {
namespace {

using Items = std::vector<size_t>;

TEST_CASE("texts are in the shortest shape that holds them, sorted by length") {
  const std::vector<int64_t> lengths = {40, 3, 128, 32, 33, 7};
  const std::vector<BatchShape> shapes = {{1, 32}, {1, 128}};
  const auto batches = PlanBatches(lengths, shapes);
  REQUIRE(batches.size() == 6);
  const Items expected = {1, 5, 3, 4, 0, 2};
  for (size_t i = 0; i < expected.size(); ++i) {
    REQUIRE(batches[i].items == Items{expected[i]});
    REQUIRE(batches[i].shape == (i < 3 ? 0 : 1));
  }
}

TEST_CASE("a rest goes where a longer batch has room") {
  const std::vector<BatchShape> shapes = {{4, 32}, {4, 128}};
  // Five short texts and two long ones: two calls, not three.
  auto batches = PlanBatches(std::vector<int64_t>{1, 2, 3, 4, 5, 100, 101}, shapes);
  REQUIRE(batches.size() == 2);
  REQUIRE(batches[0].items == Items{0, 1, 2, 3});
  REQUIRE(batches[1].items == Items{4, 5, 6});
  REQUIRE(batches[1].shape == 1);
  // No room, or no longer texts: a short call of its own.
  batches = PlanBatches(std::vector<int64_t>{1, 100, 101, 102, 103}, shapes);
  REQUIRE(batches.size() == 2);
  REQUIRE(batches[0].shape == 0);
  REQUIRE(PlanBatches(std::vector<int64_t>{1}, shapes)[0].shape == 0);
}

TEST_CASE("a call of several texts has a bounded number of tokens") {
  const std::vector<BatchShape> shapes = {{4, 128}};
  const auto batches = PlanBatches(std::vector<int64_t>{10, 20, 30, 40, 41, 120}, shapes, 100);
  REQUIRE(batches.size() == 3);
  REQUIRE(batches[0].items == Items{0, 1, 2, 3});
  REQUIRE(batches[1].items == Items{4});
  REQUIRE(batches[2].items == Items{5});  // more than all, but alone
}

TEST_CASE("no text is lost or run twice") {
  std::mt19937 random(1);
  for (int round = 0; round < 50; ++round) {
    std::vector<int64_t> lengths(random() % 200);
    for (int64_t& length : lengths) length = 1 + static_cast<int64_t>(random() % 512);
    const std::vector<BatchShape> shapes = {{8, 16}, {5, 100}, {3, 512}};
    Items seen;
    const int64_t most_tokens = round % 2 == 0 ? 300 : std::numeric_limits<int64_t>::max();
    for (const Batch& batch : PlanBatches(lengths, shapes, most_tokens)) {
      REQUIRE(batch.items.size() <= static_cast<size_t>(shapes[batch.shape].rows));
      for (const size_t item : batch.items) {
        REQUIRE(lengths[item] <= shapes[batch.shape].tokens);
        seen.push_back(item);
      }
    }
    std::ranges::sort(seen);
    REQUIRE(seen.size() == lengths.size());
    REQUIRE(std::ranges::adjacent_find(seen) == seen.end());
  }
}

}  // namespace
}  // namespace qeff
