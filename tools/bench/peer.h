// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Another engine that is measured beside ours: a command that is started once, reads a request a
// line on its standard input and answers each with a line. benchmarks/peers/README.md has the
// protocol and adapters for the usual engines.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/support/status.h"
#include "tools/bench/bench.h"

namespace qeff::bench {

/// Splits a command at blanks; "..." and '...' keep blanks, a backslash keeps the next character.
/// No shell is asked. Errors: kUsage (nothing in it, a quote without end).
Result<std::vector<std::string>> SplitCommand(std::string_view command);

/// Reads an answer: {"tok_s": 123.4, "engine": "name"}, {"error": "why"}, or text that ends in
/// "123.4 tok/s". Nothing: a line that is not an answer, which is skipped.
struct PeerAnswer {
  double tokens_per_s = 0;
  std::string engine;  ///< empty: not said
  std::string error;   ///< not empty: there is no figure
};
std::optional<PeerAnswer> ParseAnswer(std::string_view line);

class Peer {
 public:
  /// Starts `command`. Errors: kUsage; kBackend (it cannot be started).
  static Result<std::unique_ptr<Peer>> Start(const std::string& command);
  /// Closes the command's standard input and waits for its end; after 5 s it is killed.
  ~Peer();
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  /// Has the peer do `cell` once on `threads` threads and returns its tokens per second. Errors:
  /// kBackend (it ended, gave an error, or no answer for ten minutes).
  Result<double> Measure(const Cell& cell, int threads);

  /// What it calls itself; its command until the first answer that says.
  const std::string& name() const { return name_; }

 private:
  Peer(std::string command, pid_t process, int socket)
      : name_(std::move(command)), process_(process), socket_(socket) {}
  Result<std::string> ReadLine(std::chrono::steady_clock::time_point deadline);
  Status Failed(std::string message) const;

  std::string name_;
  pid_t process_;
  int socket_;  ///< its standard input and output
  std::string received_;
};

}  // namespace qeff::bench
