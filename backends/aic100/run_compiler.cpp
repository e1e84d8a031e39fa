// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/aic100/run_compiler.h"

#include <csignal>
#include <cstring>
#include <fstream>

#include "backends/aic100/compiler_messages.h"
#include "backends/aic100/process.h"
#include "lib/support/log.h"

namespace qeff::aic100 {
namespace {

/// What a compiler printed, as far as it is needed to explain its end: compilers can print
/// gigabytes.
class Tail {
 public:
  void Append(std::string_view text) {
    constexpr size_t kKeptBytes = size_t{1} << 20;
    text_ += text;
    if (text_.size() > 2 * kKeptBytes) text_.erase(0, text_.size() - kKeptBytes);
  }
  const std::string& text() const { return text_; }
  /// The last line that is not empty.
  std::string LastLine() const {
    const size_t end = text_.find_last_not_of(" \t\r\n");
    if (end == std::string::npos) return "";
    const size_t line_break = text_.find_last_of("\r\n", end);
    const size_t begin = line_break == std::string::npos ? 0 : line_break + 1;
    return text_.substr(begin, end + 1 - begin);
  }

 private:
  std::string text_;
};

Status Explain(const ProcessEnd& end, const std::vector<std::string>& command, const Tail& output,
               const std::filesystem::path& log) {
  std::vector<std::string> notes;
  ErrorCode code = ErrorCode::kBackend;
  std::string message = fmt::format("the compiler failed: {}", end.ToString());
  if (const KnownMessage* known = Recognize(output.text())) {
    code = known->code;
    message += fmt::format(": {}", known->meaning);
    notes.emplace_back(known->remedy);
  } else if (end.signal == SIGKILL) {
    notes.emplace_back(
        "if nobody stopped it, the host ran out of memory ('dmesg' tells): compile on a host with "
        "more");
  }
  if (const std::string last = output.LastLine(); !last.empty())
    notes.push_back(fmt::format("its last line: {}", last));
  notes.push_back(fmt::format("all it printed: {}", log.string()));
  notes.push_back(fmt::format("the command: {}", ShellLine(command)));
  return Error(code, Location::File(command.front()), std::move(message), std::move(notes));
}

}  // namespace

Status RunCompiler(const std::vector<std::string>& command, const std::filesystem::path& log,
                   std::chrono::seconds report_interval) {
  std::ofstream log_file(log, std::ios::binary | std::ios::trunc);
  if (!log_file) return IoError(Location::File(log.string()), "cannot write the log", errno);
  LogInfo("compiling with {}; its output: {}", command.front(), log.string());
  LogDebug("{}", ShellLine(command));
  Tail output;
  ProcessOptions options;
  options.on_output = [&](std::string_view text) -> Status {
    output.Append(text);
    log_file << text << std::flush;
    if (!log_file) return IoError(Location::File(log.string()), "cannot write the log", errno);
    return Status::Ok();
  };
  options.on_second = [&output, report_interval](std::chrono::seconds elapsed) {
    if (elapsed.count() % report_interval.count() == 0)
      LogInfo("compiling for {} s: {}", elapsed.count(), output.LastLine());
  };
  QEFF_ASSIGN_OR_RETURN(const ProcessEnd end, RunProcess(command, options));
  return end.ok() ? Status::Ok() : Explain(end, command, output, log);
}

}  // namespace qeff::aic100
