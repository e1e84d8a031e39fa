// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/aic100/process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

namespace qeff::aic100 {
namespace {

using Clock = std::chrono::steady_clock;

/// A descriptor that is closed with the object.
class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  Descriptor(const Descriptor&) = delete;
  ~Descriptor() { Close(); }
  int get() const { return value_; }
  void Close() {
    if (value_ >= 0) ::close(value_);
    value_ = -1;
  }

 private:
  int value_;
};

/// In the child: only calls that are safe after a fork of a program with threads.
[[noreturn]] void BecomeProgram(char* const* arguments, int output, int failure) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  ::execv(arguments[0], arguments);
  const int error = errno;
  (void)!::write(failure, &error, sizeof(error));
  ::_exit(127);
}

/// Waits for `child` and returns how it ended.
ProcessEnd Reap(pid_t child) {
  int state = 0;
  while (::waitpid(child, &state, 0) < 0 && errno == EINTR) {
  }
  ProcessEnd end;
  if (WIFSIGNALED(state))
    end.signal = WTERMSIG(state);
  else
    end.exit_code = WEXITSTATUS(state);
  return end;
}

/// True once `child` has ended; it stays to be reaped.
bool HasEnded(pid_t child) {
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid == child;
}

/// Passes output on until the program has ended and what it wrote is read. A process that it left
/// behind may keep the pipe open: that one is not waited for.
Status Listen(pid_t child, int output, const ProcessOptions& options, bool& timed_out) {
  const Clock::time_point start = Clock::now();
  std::chrono::seconds told{0};
  std::array<char, 1 << 16> buffer;
  while (true) {
    const bool has_ended = HasEnded(child);
    pollfd waited{.fd = output, .events = POLLIN, .revents = 0};
    constexpr int kTickMilliseconds = 50;
    const int ready = ::poll(&waited, 1, has_ended ? 0 : kTickMilliseconds);
    if (ready > 0) {
      const ssize_t count = ::read(output, buffer.data(), buffer.size());
      if (count > 0 && options.on_output)
        QEFF_RETURN_IF_ERROR(options.on_output({buffer.data(), static_cast<size_t>(count)}));
      if (count == 0) return Status::Ok();
    } else if (has_ended) {
      return Status::Ok();
    }
    const auto elapsed = Clock::now() - start;
    if (options.time_limit.count() > 0 && elapsed > options.time_limit) {
      timed_out = true;
      return Status::Ok();
    }
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(elapsed);
    if (options.on_second && seconds > told) {
      told = seconds;
      options.on_second(seconds);
    }
  }
}

}  // namespace

std::string ProcessEnd::ToString() const {
  if (timed_out) return "no answer in time";
  if (signal != 0) return fmt::format("killed by signal {} ({})", signal, ::strsignal(signal));
  return fmt::format("exit code {}", exit_code);
}

Result<ProcessEnd> RunProcess(const std::vector<std::string>& arguments,
                              const ProcessOptions& options) {
  const auto cannot_start = [&arguments](int error) {
    return Error(ErrorCode::kBackend, Location::File(arguments.front()),
                 fmt::format("cannot be started: {}", std::strerror(error)));
  };
  std::array<int, 2> output_ends{-1, -1};
  std::array<int, 2> failure_ends{-1, -1};
  if (::pipe2(output_ends.data(), O_CLOEXEC) != 0) return cannot_start(errno);
  Descriptor output(output_ends[0]);
  Descriptor output_of_child(output_ends[1]);
  if (::pipe2(failure_ends.data(), O_CLOEXEC) != 0) return cannot_start(errno);
  Descriptor failure(failure_ends[0]);
  Descriptor failure_of_child(failure_ends[1]);
  std::vector<char*> pointers;
  for (const std::string& argument : arguments)
    pointers.push_back(const_cast<char*>(argument.c_str()));
  pointers.push_back(nullptr);
  const pid_t child = ::fork();
  if (child < 0) return cannot_start(errno);
  if (child == 0) BecomeProgram(pointers.data(), output_of_child.get(), failure_of_child.get());
  output_of_child.Close();
  failure_of_child.Close();
  int error = 0;
  if (::read(failure.get(), &error, sizeof(error)) == sizeof(error)) {
    Reap(child);
    return cannot_start(error);
  }
  bool timed_out = false;
  Status heard = Listen(child, output.get(), options, timed_out);
  if (!heard.ok() || timed_out) ::kill(child, SIGKILL);
  // A program may close its output early and go on.
  ProcessEnd end = Reap(child);
  end.timed_out = timed_out;
  if (!heard.ok()) return heard;
  return end;
}

std::string ShellLine(const std::vector<std::string>& arguments) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-";
  std::vector<std::string> words;
  for (const std::string& argument : arguments) {
    if (!argument.empty() && argument.find_first_not_of(kPlain) == std::string::npos) {
      words.push_back(argument);
      continue;
    }
    std::string quoted = "'";
    for (const char character : argument)
      quoted += character == '\'' ? "'\\''" : std::string(1, character);
    words.push_back(quoted + "'");
  }
  return fmt::format("{}", fmt::join(words, " "));
}

}  // namespace qeff::aic100
