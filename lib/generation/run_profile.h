// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What a session did and how long each part took: one record for every step of every run on every
// thread, and the work that the step had to do (bytes from memory, operations). Who opens a session
// gives it one in BackendOpenOptions and says when it records; a session without one, or with one
// that does not record, pays a comparison a run. Not for counting tokens: that is
// GenerationMetrics.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace qeff {

/// In what the products of a step are computed.
enum class Arithmetic {
  kF32,
  kBf16,
  kInt8,
  kF32ByBf16,  ///< f32 times bf16: by f32, or by three products of bf16 where they are faster
};
inline constexpr Arithmetic kArithmetics[] = {Arithmetic::kF32, Arithmetic::kBf16,
                                              Arithmetic::kInt8, Arithmetic::kF32ByBf16};
inline constexpr int kArithmeticCount = 4;
/// "f32", "bf16", "int8", "f32xbf16".
std::string_view ArithmeticName(Arithmetic arithmetic);

/// The least that something must do, whatever the machine. Bytes are those of weights and retained
/// state, each counted once a run: values between steps are small and stay in the caches. A
/// multiplication and an addition are two operations; only those of matrix products and attention
/// count.
struct RunWork {
  double bytes = 0;
  std::array<double, kArithmeticCount> operations = {};  ///< by Arithmetic

  RunWork& operator+=(const RunWork& other);
  double total_operations() const;
};

struct ProfiledStep {
  std::string name;  ///< of the graph's node
  std::string op;    ///< kind of step, "linear"
};

class RunProfile {
 public:
  struct Specialization {
    std::string name;
    std::vector<ProfiledStep> steps;
  };
  /// Nanoseconds since the profile was made.
  struct Event {
    int32_t run = 0;   ///< index into runs()
    int32_t step = 0;  ///< index into the steps of the run's specialization
    int64_t start_ns = 0;
    int64_t end_ns = 0;
  };
  struct Run {
    size_t specialization = 0;
    int64_t start_ns = 0;
    int64_t end_ns = 0;
    std::vector<RunWork> work;  ///< of each step
  };
  /// Of all threads together; about 25 MB. Later runs are only counted.
  static constexpr int64_t kMostEvents = int64_t{1} << 20;

  RunProfile();

  // What the session calls.

  /// Once, when it is opened.
  void Describe(std::vector<Specialization> specializations, int threads);
  /// True if the coming run is to be recorded with BeginRun, Add and EndRun; counts it if not for
  /// lack of space.
  bool WantsRun(size_t step_count);
  void BeginRun(size_t specialization, std::vector<RunWork> work);
  /// Any thread, only its own number.
  void Add(int thread, int32_t step, int64_t start_ns, int64_t end_ns) {
    events_[static_cast<size_t>(thread)].push_back(
        {static_cast<int32_t>(runs_.size()) - 1, step, start_ns, end_ns});
  }
  void EndRun();
  int64_t Now() const;

  // What its owner calls, between runs.

  void Start() { is_recording_ = true; }
  void Stop() { is_recording_ = false; }
  /// Forgets all records.
  void Clear();

  const std::vector<Specialization>& specializations() const { return specializations_; }
  const std::vector<Run>& runs() const { return runs_; }
  int thread_count() const { return static_cast<int>(events_.size()); }
  const std::vector<Event>& events(int thread) const {
    return events_[static_cast<size_t>(thread)];
  }
  int64_t dropped_runs() const { return dropped_runs_; }
  /// The sum over the steps of a run.
  RunWork WorkOf(const Run& run) const;

 private:
  bool is_recording_ = false;
  int64_t origin_ns_ = 0;
  int64_t event_count_ = 0;
  int64_t dropped_runs_ = 0;
  std::vector<Specialization> specializations_;
  std::vector<Run> runs_;
  std::vector<std::vector<Event>> events_;  ///< by thread
};

}  // namespace qeff
