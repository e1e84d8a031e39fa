// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What every program of the toolchain does alike: parse the command line, run, print the error
// once, return the exit code.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "lib/support/status.h"

namespace qeff::tools {

/// What a program is, for its help: examples come first there.
struct ToolInfo {
  std::string name;         ///< "qeff-export"
  std::string description;  ///< one sentence
  std::string examples;     ///< one command a line, without indentation
};

/// Adds --help, --version, -q and -v to `app` and gives its help our layout; `add_options` adds the
/// rest; then parses and runs. Returns the exit code: 0 done, 1 bad or unsupported input, 2 command
/// line, 3 machine, which includes output that could not be written.
int RunTool(int argc, char** argv, const ToolInfo& info,
            const std::function<void(CLI::App&)>& add_options, const std::function<Status()>& run);

/// For options whose default an empty value, as of a variable that is not set, would pass for.
CLI::Validator NotEmpty();

/// The exit code for an error: 1, 2 or 3.
int ExitCode(ErrorCode code);

/// "0.1.0 (389ab77)".
std::string VersionText();

/// Prints the product of the program, one line, on stdout.
void PrintResult(const std::string& line);

/// Prints a part of the product as it is and makes it visible at once. RunTool reports what could
/// not be written.
void PrintText(std::string_view text);

/// Returns standard input up to its end. Errors: kInvalidInput above 64 MiB.
Result<std::string> ReadStandardInput();

}  // namespace qeff::tools
