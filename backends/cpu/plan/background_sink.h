// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Passes bytes on to a sink on a thread of its own, in order, so that packing the next weights and
// writing the last ones to the file happen at the same time. For CpuPlan::WriteConstants; holds two
// blocks, so memory stays bounded.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "backends/cpu/plan/constant_pool.h"
#include "lib/support/status.h"

namespace qeff::cpu {

class BackgroundSink {
 public:
  /// `sink` is called by the other thread only, until Finish has returned.
  explicit BackgroundSink(const ByteSink& sink);
  ~BackgroundSink();
  BackgroundSink(const BackgroundSink&) = delete;
  BackgroundSink& operator=(const BackgroundSink&) = delete;

  /// Copies the bytes; waits while a whole block is still to be written. Errors: the sink's, maybe
  /// for earlier bytes.
  Status Append(std::span<const std::byte> bytes);
  /// Waits until everything is written. Call once, last. Errors: the sink's.
  Status Finish();

 private:
  Status HandOver();
  void Loop();

  const ByteSink& sink_;
  std::vector<std::byte> filling_;  ///< of the caller's thread
  std::vector<std::byte> writing_;  ///< of the other one while is_writing_
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_writing_ = false;
  bool is_closing_ = false;
  std::optional<Diagnostic> failure_;
  std::thread thread_;
};

}  // namespace qeff::cpu
