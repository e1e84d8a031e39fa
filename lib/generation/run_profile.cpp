// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/generation/run_profile.h"

#include <chrono>
#include <numeric>

namespace qeff {
namespace {

int64_t ClockNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

std::string_view ArithmeticName(Arithmetic arithmetic) {
  switch (arithmetic) {
    case Arithmetic::kF32:
      return "f32";
    case Arithmetic::kBf16:
      return "bf16";
    case Arithmetic::kInt8:
      return "int8";
    case Arithmetic::kF32ByBf16:
      return "f32xbf16";
  }
  return "f32";
}

RunWork& RunWork::operator+=(const RunWork& other) {
  bytes += other.bytes;
  for (size_t i = 0; i < operations.size(); ++i) operations[i] += other.operations[i];
  return *this;
}

double RunWork::total_operations() const {
  return std::accumulate(operations.begin(), operations.end(), 0.0);
}

RunProfile::RunProfile() : origin_ns_(ClockNs()) {}

int64_t RunProfile::Now() const { return ClockNs() - origin_ns_; }

void RunProfile::Describe(std::vector<Specialization> specializations, int threads) {
  specializations_ = std::move(specializations);
  events_.resize(static_cast<size_t>(threads));
}

bool RunProfile::WantsRun(size_t step_count) {
  if (!is_recording_) return false;
  const auto events = static_cast<int64_t>(step_count) * thread_count();
  if (event_count_ + events > kMostEvents) {
    ++dropped_runs_;
    return false;
  }
  event_count_ += events;
  return true;
}

void RunProfile::BeginRun(size_t specialization, std::vector<RunWork> work) {
  runs_.push_back({specialization, Now(), 0, std::move(work)});
}

void RunProfile::EndRun() { runs_.back().end_ns = Now(); }

void RunProfile::Clear() {
  runs_.clear();
  for (std::vector<Event>& events : events_) events.clear();
  event_count_ = 0;
  dropped_runs_ = 0;
}

RunWork RunProfile::WorkOf(const Run& run) const {
  RunWork sum;
  for (const RunWork& work : run.work) sum += work;
  return sum;
}

}  // namespace qeff
