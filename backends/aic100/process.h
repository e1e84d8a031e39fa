// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Runs a vendor's program: an argument vector, never a shell; its output as it comes; a time limit.
// The program dies with us.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/support/status.h"

namespace qeff::aic100 {

struct ProcessOptions {
  std::chrono::milliseconds time_limit{0};  ///< 0: none; after it the program is killed
  /// Gets stdout and stderr, in the order in which they arrive. An error kills the program.
  std::function<Status(std::string_view)> on_output;
  /// Called about once a second while the program runs.
  std::function<void(std::chrono::seconds elapsed)> on_second;
};

/// How a program ended.
struct ProcessEnd {
  int exit_code = 0;       ///< if `signal` is 0
  int signal = 0;          ///< that ended it
  bool timed_out = false;  ///< then `signal` is ours

  bool ok() const { return exit_code == 0 && signal == 0; }
  /// Returns "exit code 2", "killed by signal 9 (Killed)" or "no answer in time".
  std::string ToString() const;
};

/// Runs arguments[0] and waits for its end. Errors: kBackend (it cannot be started); those of
/// on_output.
Result<ProcessEnd> RunProcess(const std::vector<std::string>& arguments,
                              const ProcessOptions& options);

/// Returns the arguments as one line for a POSIX shell; those with special characters are quoted.
std::string ShellLine(const std::vector<std::string>& arguments);

}  // namespace qeff::aic100
