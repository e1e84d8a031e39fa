// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/runtime/thread_pool.h"

#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <vector>

#include "backends/cpu/runtime/read_ahead.h"

namespace qeff::cpu {
namespace {

int FetchesOf(const StreamStarts& starts) {
  ReadAhead ahead(starts);
  int fetches = 0;
  for (; !ahead.is_done(); ahead.Fetch()) ++fetches;
  return fetches;
}

TEST_CASE("what is read ahead ends with the streams, or where a cache would be full") {
  std::array<std::byte, 64> bytes = {};
  const StreamStarts one = {.at = {bytes.data()}, .count = 1, .bytes = 1000};
  REQUIRE(FetchesOf({}) == 0);
  REQUIRE(FetchesOf(one) == 8);  // of 128 bytes
  const StreamStarts two = {
      .at = {bytes.data(), bytes.data()}, .count = 2, .bytes = int64_t{1} << 40};
  REQUIRE(FetchesOf(two) == 512);
}

TEST_CASE("threads wait for each other, whether they read ahead or not") {
  constexpr int kThreads = 3;
  constexpr int kRounds = 200;
  std::array<std::byte, 4096> weights = {};
  const StreamStarts starts = {.at = {weights.data()}, .count = 1, .bytes = weights.size()};
  ThreadPool pool(kThreads);
  Barrier barrier(kThreads);
  std::atomic<int> arrived = 0;
  std::atomic<int> wrong = 0;
  std::vector<int> calls(kThreads);
  pool.Run([&](int thread) {
    ++calls[thread];
    for (int round = 0; round < kRounds; ++round) {
      ++arrived;
      ReadAhead ahead(starts);
      barrier.Wait(ahead);
      if (arrived != (round + 1) * kThreads) ++wrong;
      barrier.Wait();
    }
  });
  REQUIRE(calls == std::vector<int>(kThreads, 1));
  REQUIRE(wrong == 0);
}

TEST_CASE("calls for some of the threads reach exactly those, in any order") {
  constexpr int kThreads = 4;
  ThreadPool pool(kThreads);
  for (int call = 0; call < 400; ++call) {
    const int count = 1 + call * 7 % kThreads;
    std::array<std::atomic<int>, kThreads> calls = {};
    pool.Run(count, [&](int thread) { ++calls[thread]; });
    for (int thread = 0; thread < kThreads; ++thread) {
      REQUIRE(calls[thread] == (thread < count ? 1 : 0));
    }
  }
}

}  // namespace
}  // namespace qeff::cpu
