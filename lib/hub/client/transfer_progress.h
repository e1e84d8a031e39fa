// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// How far a download is, on stderr: on a terminal a bar for all and one for each file at work; in a
// log a line every few seconds. Nothing before the first second has passed.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <list>
#include <string>

namespace qeff::hub {

class TransferProgress {
 public:
  enum class Display { kHidden, kShown };

  TransferProgress(Display display, int64_t total_bytes, int64_t total_files);
  TransferProgress(const TransferProgress&) = delete;
  ~TransferProgress();  ///< clears what it drew

  /// A file that is at work; the reference stays valid until Remove.
  struct File {
    std::string name;
    int64_t total_bytes = 0;
    int64_t done_bytes = 0;
  };
  File& Add(const std::string& name, int64_t total_bytes, int64_t done_bytes);
  /// `is_done`: it counts as done; else what it had is taken back.
  void Remove(File& file, bool is_done);
  /// More of a file; negative when bytes turn out wrong. `from_network` counts for the speed.
  void Advance(File& file, int64_t bytes, bool from_network);
  /// Draws if it is time. Call often.
  void Tick();
  /// Logs a line without mixing it with what is drawn.
  void Say(const std::string& text);

  int64_t received_bytes() const { return received_bytes_; }

 private:
  using Clock = std::chrono::steady_clock;
  void Draw(Clock::time_point now);
  void Erase();
  std::string Summary(Clock::time_point now);

  bool on_terminal_;
  bool shown_;
  int64_t total_bytes_;
  int64_t total_files_;
  int64_t done_bytes_ = 0;
  int64_t done_files_ = 0;
  int64_t received_bytes_ = 0;
  int drawn_lines_ = 0;
  std::list<File> files_;
  Clock::time_point start_;
  Clock::time_point last_draw_;
  std::deque<std::pair<Clock::time_point, int64_t>> samples_;  // received bytes, for the speed
};

}  // namespace qeff::hub
