// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// How many threads a program runs on when other programs keep processors busy: a thread that shares
// its processor holds up all others at every barrier, so that fewer threads are faster.
#pragma once

#include <cstdint>

namespace qeff::cpu {

/// Tries fewer threads once those of a program wait for each other much, keeps them if runs take
/// less time, and tries more again from time to time. Takes runs for equal, as those of one
/// specialization nearly are; where they differ (texts without their padding) a trial can be
/// misjudged, until the next.
class ThreadChoice {
 public:
  explicit ThreadChoice(int most) : most_(most), count_(most) {}
  /// For the next run: 1 to `most`.
  int count() const { return trial_ > 0 ? trial_ : count_; }
  /// Of a run with count() threads: its duration, and the sum of what its threads waited for each
  /// other.
  void Add(int64_t run_ns, int64_t waited_ns);

 private:
  /// Runs that are judged together.
  struct Window {
    int64_t runs = 0;
    int64_t run_ns = 0;
    int64_t waited_ns = 0;
  };
  void StartTrial(double mean_ns);
  void EndTrial(double mean_ns);
  bool WaitsMuch() const;

  const int most_;
  int count_;
  bool tried_fewer_ = false;  ///< in the last trial
  int least_tried_ = most_;   ///< since count_ was chosen; fewer threads are tried next
  int trial_ = 0;             ///< 0: none is under way
  double mean_ns_ = 0;        ///< of a run before the trial
  int64_t since_trial_ns_ = 0;
  int64_t pause_ns_ = kLeastPauseNs;  ///< to the next trial
  Window window_;

  static constexpr int64_t kLeastPauseNs = 50'000'000;
  static constexpr int64_t kMostPauseNs = 2'000'000'000;  ///< but for trials that take long
};

}  // namespace qeff::cpu
