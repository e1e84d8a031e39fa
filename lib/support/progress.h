// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// One progress line on stderr for work that takes longer than a moment. On a terminal only: nothing
// is written when stderr is a file or a pipe, or before half a second has passed.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace qeff {

class Progress {
 public:
  /// `title` e.g. "exporting weights"; `total` in the unit of Add (bytes if `unit` is "B").
  Progress(std::string title, int64_t total, std::string unit);
  Progress(const Progress&) = delete;
  ~Progress();  ///< clears the line
  void Add(int64_t amount);
  /// For work whose end is known by other means than the amount: `share` of it is done, 0 if that
  /// is not known. The line shows the amount in a second, too.
  void Set(int64_t amount, double share);

 private:
  void Draw();
  void DrawRate(double share);
  bool IsDue();
  std::string title_;
  std::string unit_;
  int64_t total_;
  int64_t done_ = 0;
  bool on_terminal_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point last_draw_;
};

}  // namespace qeff
