// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "tools/bench/peer.h"

#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstring>
#include <thread>

extern char** environ;

namespace qeff::bench {
namespace {

constexpr auto kAnswerTime = std::chrono::minutes(10);
constexpr size_t kLongestLine = size_t{1} << 20;
constexpr auto kPatience = std::chrono::seconds(5);

/// The number before "tok/s" at the end of the line.
std::optional<double> ParseFigure(std::string_view line) {
  const size_t unit = line.rfind("tok/s");
  if (unit == std::string_view::npos) return std::nullopt;
  if (line.find_first_not_of(" \t\r", unit + 5) != std::string_view::npos) return std::nullopt;
  std::string_view text = line.substr(0, unit);
  while (text.ends_with(' ')) text.remove_suffix(1);
  const size_t blank = text.find_last_of(" \t");
  if (blank != std::string_view::npos) text.remove_prefix(blank + 1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(value > 0) ||
      !std::isfinite(value)) {
    return std::nullopt;
  }
  return value;
}

std::string StringOf(const Json& object, std::string_view key) {
  const Json* value = Find(object, key);
  return value != nullptr && value->is_string() ? value->get<std::string>() : "";
}

}  // namespace

Result<std::vector<std::string>> SplitCommand(std::string_view command) {
  std::vector<std::string> words;
  bool in_word = false;
  char quote = 0;
  for (size_t i = 0; i < command.size(); ++i) {
    const char c = command[i];
    if (quote == 0 && (c == ' ' || c == '\t')) {
      in_word = false;
      continue;
    }
    if (!in_word) words.emplace_back();
    in_word = true;
    if (c == quote) {
      quote = 0;
    } else if (quote == 0 && (c == '"' || c == '\'')) {
      quote = c;
    } else if (c == '\\' && quote != '\'' && i + 1 < command.size()) {
      words.back() += command[++i];
    } else {
      words.back() += c;
    }
  }
  if (quote != 0) {
    return UsageError(Location::Flag("--against"),
                      fmt::format("the command has a {} without its end: {}", quote, command));
  }
  if (words.empty() || words.front().empty()) {
    return UsageError(Location::Flag("--against"), "expected a command, got nothing");
  }
  return words;
}

std::optional<PeerAnswer> ParseAnswer(std::string_view line) {
  if (line.starts_with('{')) {
    const Result<Json> parsed = ParseJson(line, "answer");
    if (!parsed.ok()) return std::nullopt;
    PeerAnswer answer{.engine = StringOf(*parsed, "engine"), .error = StringOf(*parsed, "error")};
    const Json* rate = Find(*parsed, "tok_s");
    if (rate != nullptr && rate->is_number()) answer.tokens_per_s = rate->get<double>();
    if (answer.error.empty() && !(answer.tokens_per_s > 0)) return std::nullopt;
    return answer;
  }
  if (const std::optional<double> figure = ParseFigure(line)) {
    return PeerAnswer{.tokens_per_s = *figure};
  }
  return std::nullopt;
}

Result<std::unique_ptr<Peer>> Peer::Start(const std::string& command) {
  QEFF_ASSIGN_OR_RETURN(std::vector<std::string> words, SplitCommand(command));
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return IoError(Location::Flag("--against"), "no connection to the command", errno);
  }
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  pid_t process = 0;
  const int error = ::posix_spawnp(&process, argv[0], &actions, nullptr, argv.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  if (error != 0) {
    ::close(ends[0]);
    return Error(ErrorCode::kBackend, Location::Flag("--against"),
                 fmt::format("'{}' cannot be started: {}", words[0], std::strerror(error)));
  }
  return std::unique_ptr<Peer>(new Peer(command, process, ends[0]));
}

Peer::~Peer() {
  ::close(socket_);
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (::waitpid(process_, nullptr, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() > end) {
      ::kill(process_, SIGKILL);
      ::waitpid(process_, nullptr, 0);
      return;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

Status Peer::Failed(std::string message) const {
  return Error(ErrorCode::kBackend, Location::Flag("--against"),
               fmt::format("'{}': {}", name_, message));
}

Result<std::string> Peer::ReadLine(std::chrono::steady_clock::time_point deadline) {
  while (true) {
    const size_t end = received_.find('\n');
    if (end != std::string::npos) {
      std::string line = received_.substr(0, end);
      received_.erase(0, end + 1);
      return line;
    }
    if (received_.size() > kLongestLine) return Failed("a line of more than 1 MiB is no answer");
    pollfd waiting = {socket_, POLLIN, 0};
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    const int ready = left.count() <= 0 ? 0 : ::poll(&waiting, 1, static_cast<int>(left.count()));
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) return Failed("no answer for ten minutes");
    char buffer[4096];
    const ssize_t count = ready < 0 ? -1 : ::read(socket_, buffer, sizeof(buffer));
    if (count <= 0) {
      return Failed("it ended before it answered").WithNote("what it wrote to stderr says why");
    }
    received_.append(buffer, static_cast<size_t>(count));
  }
}

Result<double> Peer::Measure(const Cell& cell, int threads) {
  const Json request = {{"test", cell.is_prefill ? "prefill" : "decode"},
                        {"tokens", cell.tokens},
                        {"depth", cell.depth},
                        {"batch", cell.batch},
                        {"threads", threads}};
  const std::string line = request.dump() + "\n";
  // MSG_NOSIGNAL: a command that has ended is an error, not the end of ours.
  if (::send(socket_, line.data(), line.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(line.size())) {
    return Failed("it ended before it answered").WithNote("what it wrote to stderr says why");
  }
  const auto deadline = std::chrono::steady_clock::now() + kAnswerTime;
  while (true) {
    QEFF_ASSIGN_OR_RETURN(const std::string text, ReadLine(deadline));
    const std::optional<PeerAnswer> answer = ParseAnswer(text);
    if (!answer) continue;
    if (!answer->engine.empty()) name_ = answer->engine;
    if (!answer->error.empty()) return Failed(answer->error);
    return answer->tokens_per_s;
  }
}

}  // namespace qeff::bench
