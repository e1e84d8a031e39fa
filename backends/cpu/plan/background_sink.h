// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Passes bytes on to a sink on a thread of its own, in order, so that packing the next weights and
// writing the last ones to the file happen at the same time. Weights are packed where they are
// written from. For CpuPlan::WriteConstants; holds two buffers, each as large as the
// largest piece that was asked for and a block of 2 MiB.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <thread>

#include "lib/support/status.h"

namespace qeff::cpu {

/// Receives the bytes of a segment in order.
using ByteSink = std::function<Status(std::span<const std::byte>)>;

class BackgroundSink {
 public:
  /// `sink` is called by the other thread only, until Finish has returned.
  explicit BackgroundSink(const ByteSink& sink);
  ~BackgroundSink();
  BackgroundSink(const BackgroundSink&) = delete;
  BackgroundSink& operator=(const BackgroundSink&) = delete;

  /// Returns the place of the next `size_bytes` bytes, of undefined content, at a multiple of 16
  /// bytes if everything before came to one. The caller fills all of it, from any threads, before
  /// its next call of this object. Waits while earlier bytes are still to be written. Errors: the
  /// sink's, for earlier bytes.
  Result<std::span<std::byte>> Next(size_t size_bytes);
  /// Next, filled with zeros.
  Status AppendZeros(size_t size_bytes);
  /// Waits until everything is written. Call once, last. Errors: the sink's.
  Status Finish();

 private:
  struct Buffer {
    std::unique_ptr<std::byte[]> bytes;
    size_t capacity_bytes = 0;
    size_t size_bytes = 0;

    /// Makes room behind what it holds.
    void Reserve(size_t more_bytes);
  };

  Status HandOver(size_t size_bytes);
  Status WriteAll() const;
  void Loop();

  const ByteSink& sink_;
  Buffer filling_;  ///< of the caller's thread
  Buffer writing_;  ///< of the other one while is_writing_
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_writing_ = false;
  bool is_closing_ = false;
  std::optional<Diagnostic> failure_;
  std::thread thread_;
};

}  // namespace qeff::cpu
