// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/runtime/thread_choice.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <functional>

namespace qeff::cpu {
namespace {

constexpr int64_t kMs = 1'000'000;

/// What a run with so many threads takes, and what share of it each of the others waits.
struct Machine {
  std::function<int64_t(int)> run_ns;
  double waiting = 0;
};

struct Seen {
  int64_t ns = 0;
  int64_t with_all_ns = 0;
};

Seen RunFor(ThreadChoice& choice, int most, int64_t ns, const Machine& machine) {
  Seen seen;
  while (seen.ns < ns) {
    const int count = choice.count();
    REQUIRE(count >= 1);
    REQUIRE(count <= most);
    const int64_t run_ns = machine.run_ns(count);
    seen.ns += run_ns;
    if (count == most) seen.with_all_ns += run_ns;
    choice.Add(run_ns, static_cast<int64_t>(machine.waiting * (count - 1) * run_ns));
  }
  return seen;
}

const Machine kFree = {[](int count) { return 6 * kMs / count; }, 0.05};
/// One processor of two is shared: two threads take turns with the other program's.
const Machine kShared = {[](int count) { return count == 1 ? 6 * kMs : 13 * kMs; }, 0.6};

}  // namespace

TEST_CASE("on a machine of its own a program keeps all threads") {
  ThreadChoice choice(2);
  const Seen seen = RunFor(choice, 2, 10'000 * kMs, kFree);
  CHECK(seen.with_all_ns == seen.ns);
}

TEST_CASE("beside a busy program fewer threads are chosen, and all again after it") {
  ThreadChoice choice(2);
  RunFor(choice, 2, 200 * kMs, kShared);
  CHECK(choice.count() == 1);
  const Seen beside = RunFor(choice, 2, 20'000 * kMs, kShared);
  CHECK(beside.with_all_ns < beside.ns / 15);  // trials
  const Seen after = RunFor(choice, 2, 20'000 * kMs, kFree);
  CHECK(after.with_all_ns > after.ns * 8 / 10);
  CHECK(choice.count() == 2);
}

TEST_CASE("trials that take long are rare") {
  ThreadChoice choice(2);
  const Machine crowded = {[](int count) { return count == 1 ? 50 * kMs : 500 * kMs; }, 0.7};
  RunFor(choice, 2, 10'000 * kMs, crowded);
  CHECK(choice.count() == 1);
  const Seen beside = RunFor(choice, 2, 50'000 * kMs, crowded);
  CHECK(beside.with_all_ns < beside.ns / 8);
}

TEST_CASE("waiting that fewer threads do not mend changes little") {
  ThreadChoice choice(8);
  const Machine uneven = {[](int count) { return 80 * kMs / count; }, 0.4};
  const Seen seen = RunFor(choice, 8, 20'000 * kMs, uneven);
  CHECK(seen.with_all_ns > seen.ns * 9 / 10);
}

TEST_CASE("of many threads as many are left out as are held up") {
  ThreadChoice choice(8);
  const Machine shared = {[](int count) { return count > 5 ? 30 * kMs : 80 * kMs / count; }, 0.5};
  RunFor(choice, 8, 5'000 * kMs, shared);
  int64_t few_ns = 0;
  const int64_t total_ns = 20'000 * kMs;
  for (int64_t ns = 0; ns < total_ns;) {
    const int count = choice.count();
    const int64_t run_ns = shared.run_ns(count);
    ns += run_ns;
    if (count == 5 || count == 4) few_ns += run_ns;
    choice.Add(run_ns, count > 5 ? run_ns * (count - 1) / 2 : 0);
  }
  CHECK(few_ns > total_ns * 8 / 10);
}

TEST_CASE("all threads are used again even if they wait much for each other anyway") {
  for (const int most : {2, 4, 8}) {
    ThreadChoice choice(most);
    const Machine shared = {
        [most](int count) { return count == most ? 30 * kMs : 16 * kMs / count; }, 0.5};
    RunFor(choice, most, 2'000 * kMs, shared);
    const Seen beside = RunFor(choice, most, 10'000 * kMs, shared);
    CHECK(beside.with_all_ns < beside.ns / 5);
    const Machine uneven = {[](int count) { return 16 * kMs / count; }, 0.25};
    RunFor(choice, most, 10'000 * kMs, uneven);
    const Seen after = RunFor(choice, most, 10'000 * kMs, uneven);
    CHECK(after.with_all_ns > after.ns * 8 / 10);
  }
}

TEST_CASE("one thread stays one") {
  ThreadChoice choice(1);
  RunFor(choice, 1, 1'000 * kMs, kShared);
  CHECK(choice.count() == 1);
}

}  // namespace qeff::cpu
