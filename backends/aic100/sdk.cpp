// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/aic100/sdk.h"

#include <unistd.h>

#include <sstream>

#include "backends/aic100/process.h"
#include "lib/support/file.h"
#include "lib/support/log.h"

namespace qeff::aic100 {
namespace {

/// The text of element base_version. The files are small and ours to read only this from.
std::optional<std::string> BaseVersion(const std::filesystem::path& path) {
  const Result<std::string> text = ReadSmallFile(path, size_t{1} << 20);
  if (!text.ok()) return std::nullopt;
  constexpr std::string_view kOpen = "<base_version>";
  const size_t begin = text->find(kOpen);
  if (begin == std::string::npos) return std::nullopt;
  const size_t end = text->find("</base_version>", begin);
  if (end == std::string::npos) return std::nullopt;
  return text->substr(begin + kOpen.size(), end - begin - kOpen.size());
}

}  // namespace

Compiler DefaultCompiler(const std::filesystem::path& sdk) {
  return {.path = sdk / "exec" / "qaic-compile"};
}

Result<Compiler> FindCompiler(const std::filesystem::path& sdk) {
  std::error_code error;
  for (const Compiler& compiler :
       {DefaultCompiler(sdk), Compiler{sdk / "exec" / "qaic-exec", true}}) {
    if (!std::filesystem::exists(compiler.path, error)) continue;
    if (::access(compiler.path.c_str(), X_OK) == 0) return compiler;
    return Error(ErrorCode::kBackend, Location::File(compiler.path.string()),
                 "this user may not run the compiler",
                 {"make the file executable for this user, or name another SDK with --sdk"});
  }
  const bool has_sdk = std::filesystem::is_directory(sdk, error);
  return Error(
      ErrorCode::kBackend, Location::File(sdk.string()),
      has_sdk ? "the SDK has no compiler: neither exec/qaic-compile nor exec/qaic-exec"
              : "there is no Cloud AI SDK",
      {has_sdk ? "install the Apps SDK (x86-64 only): it holds the compiler"
               : "install the Cloud AI Apps SDK (x86-64 only), or say where it is with --sdk",
       "--dry-run shows the command and its files without a compiler; --backend cpu needs none"});
}

std::string DetectHardwareVersion(const std::filesystem::path& sdk,
                                  std::chrono::milliseconds time_limit) {
  const std::string first_generation = "ai100";
  const std::filesystem::path tool = sdk / "tools" / "qaic-util";
  if (::access(tool.c_str(), X_OK) != 0) return first_generation;
  std::string output;
  const Result<ProcessEnd> end =
      RunProcess({tool.string(), "-q"},
                 {.time_limit = time_limit, .on_output = [&output](std::string_view text) {
                    output += text;
                    return Status::Ok();
                  }});
  if (!end.ok() || !end->ok()) {
    LogDebug("'{} -q' did not answer ({}): compiling for {}", tool.string(),
             end.ok() ? end->ToString() : end.diagnostic().message, first_generation);
    return first_generation;
  }
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line);) {
    const size_t field = line.find("FW IMAGE_VARIANT:");
    if (field != std::string::npos && line.find("AIC200", field) != std::string::npos)
      return "ai200";
  }
  return first_generation;
}

SdkVersions ReadSdkVersions(const std::filesystem::path& sdk) {
  return {.apps = BaseVersion(sdk / "versions" / "apps.xml"),
          .platform = BaseVersion(sdk / "versions" / "platform.xml")};
}

}  // namespace qeff::aic100
