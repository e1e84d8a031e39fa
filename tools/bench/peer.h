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
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/support/status.h"
#include "tools/bench/bench.h"

namespace qeff::bench {

/// Splits a command at blanks; "..." and '...' keep blanks, a backslash keeps the next character.
/// No shell is asked. Errors: kUsage (nothing in it, a quote without end).
Result<std::vector<std::string>> SplitCommand(std::string_view command);

struct PeerAnswer {
  double tokens_per_s = 0;
  std::string engine;  ///< empty: not said
  std::string error;   ///< not empty: the peer does not do this, there is no figure
};
/// Reads an answer: {"tok_s": 123.4, "engine": "name"}, {"error": "why"}, or text that ends in
/// "123.4 tok/s". Nothing: a line that is not an answer, which is skipped. Errors: kBackend (it
/// begins with '{' but is neither of the two).
Result<std::optional<PeerAnswer>> ParseAnswer(std::string_view line);

class Peer {
 public:
  /// Starts `command`. Errors: kUsage; kBackend (it cannot be started).
  static Result<std::unique_ptr<Peer>> Start(const std::string& command);
  /// Closes the command's standard input and waits for its end; after 5 s it is killed.
  ~Peer();
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  /// Has the peer do `cell` once on `threads` threads and returns what it answers. Errors: kBackend
  /// (it ended, gave a bad answer, or none for ten minutes).
  Result<PeerAnswer> Measure(const Cell& cell, int threads);

  /// What it calls itself; its command until the first answer that says.
  const std::string& name() const { return name_; }

 private:
  using Clock = std::chrono::steady_clock;
  Peer(std::string command, pid_t process, int socket)
      : name_(std::move(command)), process_(process), socket_(socket) {}
  /// Sends `request`, but its line end only when the peer has read the rest: what it wrote until
  /// then, while it was loading or after an earlier answer, is no answer to it and is dropped.
  Status Ask(const std::string& request, Clock::time_point deadline);
  Status Send(std::string_view text);
  /// Appends output of the peer to `received_`; false: there was none until then.
  Result<bool> Receive(Clock::time_point until);
  Result<std::string> ReadLine(Clock::time_point deadline);
  Status Failed(std::string message) const;
  Status Ended() const;

  std::string name_;
  pid_t process_;
  int socket_;  ///< its standard input and output
  std::string received_;
};

}  // namespace qeff::bench
