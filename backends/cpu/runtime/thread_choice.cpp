// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/runtime/thread_choice.h"

#include <algorithm>

namespace qeff::cpu {
namespace {

/// A window ends with so many runs that last so long, or with long ones.
constexpr int64_t kWindowRuns = 4;
constexpr int64_t kWindowNs = 10'000'000;
constexpr int64_t kLongWindowNs = 200'000'000;
/// Share of its time that a thread waits for others. Two threads that decode a model of 135M
/// parameters waited 0.11 to 0.15, spinning included, and beside a busy thread of another program
/// 0.70 to 0.75.
constexpr double kMuchWaiting = 0.2;
/// Another number of threads has to take less than this of the time.
constexpr double kGain = 0.9;
/// A trial that gained nothing is not repeated before so many times its duration.
constexpr int64_t kPauseOfTrials = 10;

int Fewer(int count) { return std::max(1, count - std::max(1, count / 4)); }
int More(int count, int most) { return std::min(most, count + std::max(1, count / 3)); }

}  // namespace

bool ThreadChoice::WaitsMuch() const {
  const double others = count_ - 1;
  return static_cast<double>(window_.waited_ns) >
         kMuchWaiting * others * static_cast<double>(window_.run_ns);
}

/// Fewer and more in turn, if both come into question.
void ThreadChoice::StartTrial(double mean_ns) {
  const bool may_be_fewer = count_ > 1 && WaitsMuch();
  const bool may_be_more = count_ < most_;
  if (!may_be_fewer && !may_be_more) return;
  tried_fewer_ = may_be_fewer && !(may_be_more && tried_fewer_);
  if (tried_fewer_) {
    least_tried_ = Fewer(least_tried_ > 1 ? least_tried_ : count_);
    trial_ = least_tried_;
  } else {
    trial_ = More(count_, most_);
  }
  mean_ns_ = mean_ns;
}

void ThreadChoice::EndTrial(double mean_ns) {
  if (mean_ns < kGain * mean_ns_) {
    count_ = trial_;
    least_tried_ = count_;
    pause_ns_ = kLeastPauseNs;
  } else {
    pause_ns_ = std::max(std::min(2 * pause_ns_, kMostPauseNs), kPauseOfTrials * window_.run_ns);
  }
  trial_ = 0;
  since_trial_ns_ = 0;
}

void ThreadChoice::Add(int64_t run_ns, int64_t waited_ns) {
  if (most_ == 1) return;
  ++window_.runs;
  window_.run_ns += run_ns;
  window_.waited_ns += waited_ns;
  const bool is_full = window_.runs >= kWindowRuns && window_.run_ns >= kWindowNs;
  if (!is_full && window_.run_ns < kLongWindowNs) return;

  const double mean_ns = static_cast<double>(window_.run_ns) / static_cast<double>(window_.runs);
  if (trial_ > 0) {
    EndTrial(mean_ns);
  } else {
    since_trial_ns_ += window_.run_ns;
    if (since_trial_ns_ >= pause_ns_) StartTrial(mean_ns);
  }
  window_ = {};
}

}  // namespace qeff::cpu
