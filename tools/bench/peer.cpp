// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "tools/bench/peer.h"

#include <linux/sockios.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
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
constexpr size_t kLongestQuote = 200;
constexpr auto kPause = std::chrono::milliseconds(1);
constexpr auto kNoTime = std::chrono::milliseconds(0);

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

Result<std::optional<PeerAnswer>> ParseAnswer(std::string_view line) {
  if (!line.starts_with('{')) {
    const std::optional<double> figure = ParseFigure(line);
    return figure ? std::optional(PeerAnswer{.tokens_per_s = *figure}) : std::nullopt;
  }
  PeerAnswer answer;
  if (const Result<Json> parsed = ParseJson(line, "answer"); parsed.ok()) {
    answer = {.engine = StringOf(*parsed, "engine"), .error = StringOf(*parsed, "error")};
    const Json* rate = Find(*parsed, "tok_s");
    if (rate != nullptr && rate->is_number()) answer.tokens_per_s = rate->get<double>();
  }
  if (answer.error.empty() && !(answer.tokens_per_s > 0 && std::isfinite(answer.tokens_per_s))) {
    return Error(ErrorCode::kBackend, Location::Flag("--against"),
                 fmt::format("expected \"tok_s\", a number above 0, or \"error\", got the line {}",
                             DumpText(line.substr(0, kLongestQuote))));
  }
  return std::optional(std::move(answer));
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

Status Peer::Ended() const {
  return Failed("it ended before it answered").WithNote("what it wrote to stderr says why");
}

Result<bool> Peer::Receive(Clock::time_point until) {
  if (received_.size() > kLongestLine) return Failed("a line of more than 1 MiB is no answer");
  pollfd waiting = {socket_, POLLIN, 0};
  const int64_t left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
  const int ready = ::poll(&waiting, 1, static_cast<int>(std::max<int64_t>(left, 0)));
  if (ready == 0 || (ready < 0 && errno == EINTR)) return false;
  char buffer[4096];
  const ssize_t count = ready < 0 ? -1 : ::read(socket_, buffer, sizeof(buffer));
  if (count <= 0) return Ended();
  received_.append(buffer, static_cast<size_t>(count));
  return true;
}

Result<std::string> Peer::ReadLine(Clock::time_point deadline) {
  size_t end = received_.find('\n');
  for (; end == std::string::npos; end = received_.find('\n')) {
    QEFF_ASSIGN_OR_RETURN(const bool has_more, Receive(deadline));
    if (!has_more && Clock::now() >= deadline) return Failed("no answer for ten minutes");
  }
  std::string line = received_.substr(0, end);
  received_.erase(0, end + 1);
  return line;
}

Status Peer::Send(std::string_view text) {
  // MSG_NOSIGNAL: a command that has ended is an error, not the end of ours.
  const ssize_t count = ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL);
  return count == static_cast<ssize_t>(text.size()) ? Status::Ok() : Ended();
}

Status Peer::Ask(const std::string& request, Clock::time_point deadline) {
  QEFF_RETURN_IF_ERROR(Send(request));
  for (bool reads = false, has_more = true; !reads || has_more;) {
    if (Clock::now() >= deadline) return Failed("no answer for ten minutes");
    int unread_bytes = 0;
    reads = reads || ::ioctl(socket_, SIOCOUTQ, &unread_bytes) != 0 || unread_bytes == 0;
    QEFF_ASSIGN_OR_RETURN(has_more, Receive(Clock::now() + (reads ? kNoTime : kPause)));
    received_.erase(0, received_.rfind('\n') + 1);
  }
  return Send("\n");
}

Result<PeerAnswer> Peer::Measure(const Cell& cell, int threads) {
  const Json request = {{"test", cell.is_prefill ? "prefill" : "decode"},
                        {"tokens", cell.tokens},
                        {"depth", cell.depth},
                        {"batch", cell.batch},
                        {"threads", threads}};
  const auto deadline = Clock::now() + kAnswerTime;
  QEFF_RETURN_IF_ERROR(Ask(request.dump(), deadline));
  while (true) {
    QEFF_ASSIGN_OR_RETURN(const std::string line, ReadLine(deadline));
    Result<std::optional<PeerAnswer>> answer = ParseAnswer(line);
    if (!answer.ok()) return Failed(answer.diagnostic().message);
    if (!answer->has_value()) continue;
    if (!(*answer)->engine.empty()) name_ = (*answer)->engine;
    return std::move(**answer);
  }
}

}  // namespace qeff::bench
