// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The vendor's SDK on this machine: where its compiler is, which generation of card is there, which
// versions are installed. Nothing of it is needed to build qeff.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>

#include "lib/support/status.h"

namespace qeff::aic100 {

/// The program that compiles.
struct Compiler {
  std::filesystem::path path;
  /// True for qaic-exec, the older program: it compiles and runs unless told to compile only, and
  /// knows the first generation of cards as "2.0".
  bool is_qaic_exec = false;
};

/// Returns where the compiler lies in an SDK, whether it is there or not.
Compiler DefaultCompiler(const std::filesystem::path& sdk);

/// Finds exec/qaic-compile, else exec/qaic-exec. Errors: kBackend (there is no SDK, or none of
/// them in it, or it may not be run), with what to install.
Result<Compiler> FindCompiler(const std::filesystem::path& sdk);

/// Returns "ai200" if tools/qaic-util reports a card whose firmware variant names that generation,
/// else "ai100", as the original does: no tool, no card, or no answer within `time_limit` mean the
/// latter.
std::string DetectHardwareVersion(const std::filesystem::path& sdk,
                                  std::chrono::milliseconds time_limit = std::chrono::seconds(10));

/// Installed versions; nothing where the SDK does not say.
struct SdkVersions {
  std::optional<std::string> apps;      ///< base_version of versions/apps.xml
  std::optional<std::string> platform;  ///< base_version of versions/platform.xml
};
SdkVersions ReadSdkVersions(const std::filesystem::path& sdk);

}  // namespace qeff::aic100
