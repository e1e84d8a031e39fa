// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "tools/common/run_tool.h"

#include <cerrno>
#include <cstdio>
#include <sstream>

#include "lib/support/log.h"
#include "lib/support/version.h"

namespace qeff::tools {
namespace {

constexpr size_t kMostInputBytes = size_t{64} << 20;

/// Of the first text that standard output did not take; 0: it took all.
int output_errno = 0;

/// Help with the examples in front.
class ToolFormatter : public CLI::Formatter {
 public:
  explicit ToolFormatter(const ToolInfo& info) : info_(info) { column_width(34); }

  std::string make_help(const CLI::App* app, std::string name,
                        CLI::AppFormatMode mode) const override {
    std::string text = info_.description + "\n\nExamples:\n";
    std::istringstream lines(info_.examples);
    for (std::string line; std::getline(lines, line);) text += "  " + line + "\n";
    return text + "\n" + CLI::Formatter::make_help(app, std::move(name), mode);
  }

  std::string make_description(const CLI::App*) const override { return ""; }

 private:
  ToolInfo info_;
};

/// Names what is not known and the option that is near to it.
std::string ExplainExtras(const CLI::App& app, const std::string& message) {
  const std::vector<std::string> extras = app.remaining();
  if (extras.empty()) return message;
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  const std::string& first = extras.front();
  std::string text = first.starts_with("-") ? fmt::format("unknown option '{}'", first)
                                            : fmt::format("unexpected argument '{}'", first);
  for (const std::string& extra : extras) {
    if (!extra.starts_with("--")) continue;
    const std::string name = extra.substr(0, extra.find('='));
    if (const auto nearest = Nearest(name, names))
      text += fmt::format("\nnote: did you mean '{}'?", *nearest);
  }
  return text;
}

int Report(const Diagnostic& diagnostic) {
  std::fputs((diagnostic.ToString() + "\n").c_str(), stderr);
  return ExitCode(diagnostic.code);
}

/// Returns `code`; after an error of its own 3 instead of 0 if text could not be written. A reader
/// that has left, as `head` does, wanted no more: no error.
int FinishOutput(int code) {
  if (output_errno == 0 || output_errno == EPIPE) return code;
  const Status error = IoError(Location::File("standard output"), "cannot write", output_errno);
  const int output_code = Report(error.diagnostic());
  return code == 0 ? output_code : code;
}

}  // namespace

std::string VersionText() { return std::string(Version()); }

CLI::Validator NotEmpty() {
  return CLI::Validator(
      [](const std::string& value) -> std::string {
        return value.empty() ? "expected a value, got nothing" : "";
      },
      "");
}

int ExitCode(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidInput:
    case ErrorCode::kUnsupported:
    case ErrorCode::kVersionMismatch:
      return 1;
    case ErrorCode::kUsage:
      return 2;
    case ErrorCode::kIo:
    case ErrorCode::kBackend:
      return 3;
  }
  return 1;
}

void PrintResult(const std::string& line) { PrintText(line + "\n"); }

void PrintText(std::string_view text) {
  const bool is_written =
      std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  if (!is_written && output_errno == 0) output_errno = errno;
}

Result<std::string> ReadStandardInput() {
  std::string text;
  char buffer[4096];
  while (const size_t count = std::fread(buffer, 1, sizeof(buffer), stdin)) {
    text.append(buffer, count);
    if (text.size() > kMostInputBytes) {
      return InvalidInput(Location::File("standard input"),
                          fmt::format("expected at most {} bytes, got more", kMostInputBytes));
    }
  }
  return text;
}

int RunTool(int argc, char** argv, const ToolInfo& info,
            const std::function<void(CLI::App&)>& add_options, const std::function<Status()>& run) {
  CLI::App app(info.description, info.name);
  app.formatter(std::make_shared<ToolFormatter>(info));
  app.set_version_flag("--version", info.name + " " + VersionText());
  bool quiet = false;
  bool verbose = false;
  add_options(app);
  app.add_flag("-q,--quiet", quiet, "Only warnings and errors on stderr");
  app.add_flag("-v,--verbose", verbose, "More about what is done on stderr")->excludes("--quiet");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    std::ostringstream text;
    const int code = app.exit(success, text);
    PrintText(text.str());
    return FinishOutput(code);
  } catch (const CLI::ParseError& error) {
    std::fputs(fmt::format("error: {}\nnote: see '{} --help'\n", ExplainExtras(app, error.what()),
                           info.name)
                   .c_str(),
               stderr);
    return ExitCode(ErrorCode::kUsage);
  }
  SetLogLevel(quiet ? LogLevel::kQuiet : verbose ? LogLevel::kVerbose : LogLevel::kNormal);
  try {
    const Status status = run();
    return FinishOutput(status.ok() ? 0 : Report(status.diagnostic()));
  } catch (const std::bad_alloc&) {
    return Report({.code = ErrorCode::kIo, .where = {}, .message = "out of memory", .notes = {}});
  } catch (const std::exception& error) {
    std::fputs(fmt::format("internal error: {}\n", error.what()).c_str(), stderr);
    return 70;
  }
}

}  // namespace qeff::tools
