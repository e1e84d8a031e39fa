// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// A fixed set of threads that run one function together, and the barrier inside it. Waiting threads
// spin for a few microseconds, let others run for a tenth of a millisecond, and then sleep, so that
// an idle machine is not kept busy and several processes on one machine share it.
#pragma once

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include "backends/cpu/runtime/read_ahead.h"

namespace qeff::cpu {

/// Waits until `value` differs from `old`: fetches what `ahead` has left, spins, yields, then
/// sleeps. Writers must call value.notify_all(). Returns the nanoseconds that it took after
/// the fetching, 0 if it did not come to yielding.
int64_t WaitWhileEqual(const std::atomic<uint32_t>& value, uint32_t old, ReadAhead& ahead);

/// All of `count` threads must arrive before any goes on.
class Barrier {
 public:
  explicit Barrier(uint32_t count) : count_(count) {}
  /// For the next round, before any of its threads arrives.
  void set_count(uint32_t count) { count_ = count; }
  /// Returns as WaitWhileEqual.
  int64_t Wait(ReadAhead& ahead);
  int64_t Wait() {
    ReadAhead nothing;
    return Wait(nothing);
  }

 private:
  uint32_t count_;
  std::atomic<uint32_t> arrived_ = 0;
  std::atomic<uint32_t> round_ = 0;
};

class ThreadPool {
 public:
  static constexpr uint32_t kMostThreads = 1024;
  /// Starts thread_count - 1 threads; the caller of Run is the other one. 1 <= thread_count <=
  /// kMostThreads.
  explicit ThreadPool(int thread_count);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int thread_count() const { return static_cast<int>(threads_.size()) + 1; }
  /// Calls work(0) .. work(count - 1), each on its own thread, and returns when all have returned.
  /// 1 <= count <= thread_count. One caller at a time.
  void Run(int count, const std::function<void(int)>& work);
  void Run(const std::function<void(int)>& work) { Run(thread_count(), work); }

 private:
  void Loop(int index);

  const std::function<void(int)>* work_ = nullptr;
  /// The number of a call of Run, and in the low bits how many threads it is for: a thread that is
  /// not needed must not take part in the next call before it has seen its number.
  std::atomic<uint32_t> generation_ = 0;
  std::atomic<bool> is_stopping_ = false;
  Barrier finished_;
  std::vector<std::thread> threads_;
};

/// Number of processors that this process may use, at least 1.
int UsableProcessors();

}  // namespace qeff::cpu
