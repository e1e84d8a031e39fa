// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/runtime/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <chrono>

namespace qeff::cpu {
namespace {

/// Most waits are over by then. With two processes on a machine, spinning for 50 microseconds cost
/// each of them half of its speed: the thread that is waited for had no processor.
constexpr std::chrono::microseconds kSpinTime{4};
/// Then other threads go first if there are any; sleeping and waking takes longer than a small
/// step: without yielding one process lost a third, and 50 or 200 microseconds of it made no
/// difference.
constexpr std::chrono::microseconds kYieldTime{100};
constexpr int kPausesPerClock = 32;

/// Bits of a generation that hold the number of its threads.
constexpr int kCountBits = 12;
constexpr uint32_t kCountMask = (uint32_t{1} << kCountBits) - 1;

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

int64_t WaitWhileEqual(const std::atomic<uint32_t>& value, uint32_t old, ReadAhead& ahead) {
  for (; !ahead.is_done(); ahead.Fetch()) {
    if (value.load(std::memory_order_acquire) != old) return 0;
  }
  const auto start = std::chrono::steady_clock::now();
  const auto waited = [start] {
    return std::chrono::nanoseconds(std::chrono::steady_clock::now() - start);
  };
  do {
    for (int i = 0; i < kPausesPerClock; ++i) {
      if (value.load(std::memory_order_acquire) != old) return 0;
      Pause();
    }
  } while (waited() < kSpinTime);
  do {
    sched_yield();
    if (value.load(std::memory_order_acquire) != old) return waited().count();
  } while (waited() < kYieldTime);
  while (value.load(std::memory_order_acquire) == old) value.wait(old, std::memory_order_acquire);
  return waited().count();
}

int64_t Barrier::Wait(ReadAhead& ahead) {
  const uint32_t round = round_.load(std::memory_order_relaxed);
  const uint32_t count = count_;  // the next round may have another as soon as all have arrived
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == count) {
    arrived_.store(0, std::memory_order_relaxed);
    round_.store(round + 1, std::memory_order_release);
    round_.notify_all();
    return 0;
  }
  return WaitWhileEqual(round_, round, ahead);
}

static_assert(ThreadPool::kMostThreads <= kCountMask);

ThreadPool::ThreadPool(int thread_count) : finished_(static_cast<uint32_t>(thread_count)) {
  for (int i = 1; i < thread_count; ++i) threads_.emplace_back([this, i] { Loop(i); });
}

ThreadPool::~ThreadPool() {
  is_stopping_.store(true);
  generation_.fetch_add(1);
  generation_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadPool::Run(int count, const std::function<void(int)>& work) {
  if (count == 1) {
    work(0);
    return;
  }
  work_ = &work;
  finished_.set_count(static_cast<uint32_t>(count));
  const uint32_t number = (generation_.load(std::memory_order_relaxed) >> kCountBits) + 1;
  generation_.store(number << kCountBits | static_cast<uint32_t>(count), std::memory_order_release);
  generation_.notify_all();
  work(0);
  finished_.Wait();
}

void ThreadPool::Loop(int index) {
  uint32_t seen = 0;
  ReadAhead nothing;
  while (true) {
    WaitWhileEqual(generation_, seen, nothing);
    seen = generation_.load(std::memory_order_acquire);
    if (is_stopping_.load()) return;
    if (static_cast<uint32_t>(index) >= (seen & kCountMask)) continue;
    (*work_)(index);
    finished_.Wait();
  }
}

int UsableProcessors() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace qeff::cpu
