// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/aic100/card_session.h"
#include "backends/aic100/compiler_messages.h"
#include "backends/aic100/process.h"
#include "backends/aic100/sdk.h"
#include "tools/inspect/readers.h"

namespace qeff::inspect {
namespace {

/// One question about this machine: passed, or what is wrong and what to do.
struct Checks {
  Table table{.name = "checks", .columns = {"check", "result"}, .rows = {}};
  int failed = 0;

  void Add(const std::string& name, const std::vector<std::string>& problems,
           const std::string& passed) {
    if (problems.empty()) table.rows.push_back({name, passed});
    for (const std::string& problem : problems) table.rows.push_back({name, "FAILED: " + problem});
    failed += problems.empty() ? 0 : 1;
  }
};

std::string DescribeProblem(const Diagnostic& problem) {
  std::string text = problem.message;
  if (!problem.where.file.empty()) text = problem.where.file + ": " + text;
  return problem.notes.empty() ? text : text + "; " + problem.notes.back();
}

/// The lines of the vendor's device list.
Result<std::vector<std::string>> ListDevices(const std::filesystem::path& sdk) {
  const std::filesystem::path tool = sdk / "tools" / "qaic-util";
  std::error_code error;
  if (!std::filesystem::exists(tool, error)) {
    return Error(ErrorCode::kBackend, Location::File(tool.string()), "is not there",
                 {"install the Platform SDK, or say where it is with --sdk"});
  }
  std::vector<std::string> lines(1);
  QEFF_ASSIGN_OR_RETURN(
      const aic100::ProcessEnd end,
      aic100::RunProcess({tool.string(), "-q"}, {.time_limit = std::chrono::seconds(10),
                                                 .on_output = [&lines](std::string_view text) {
                                                   for (const char character : text) {
                                                     if (character == '\n') {
                                                       lines.emplace_back();
                                                     } else {
                                                       lines.back() +=
                                                           character == '\t' ? ' ' : character;
                                                     }
                                                   }
                                                   return Status::Ok();
                                                 }}));
  if (!end.ok()) {
    return Error(ErrorCode::kBackend, Location::File(tool.string()), end.ToString(),
                 {"is the driver loaded and the card in order? 'dmesg' tells"});
  }
  std::erase(lines, "");
  return lines;
}

/// What keeps the devices of a list from being used.
std::vector<std::string> JudgeDevices(const std::vector<std::string>& lines) {
  std::vector<std::string> problems;
  std::string device;
  for (const std::string& line : lines) {
    if (line.starts_with("QID")) device = line;
    if (const aic100::KnownMessage* known = aic100::Recognize(line))
      problems.push_back(fmt::format("{}: {}: {}", device, known->meaning, known->remedy));
    if (line.find("Status:Initializing") != std::string::npos)
      problems.push_back(
          fmt::format("{}: its firmware is starting: ask again in a minute", device));
  }
  if (device.empty()) problems.emplace_back("'qaic-util -q' lists no device");
  return problems;
}

}  // namespace

DeviceReport ReadDevice(const DeviceRequest& request) {
  Checks checks;
  checks.Add("card, driver, permission", aic100::DiagnoseCard(request.system_root), "pass");
  const Result<std::vector<std::string>> listed = ListDevices(request.sdk);
  checks.Add(
      "firmware",
      listed.ok() ? JudgeDevices(*listed) : std::vector{DescribeProblem(listed.diagnostic())},
      "pass");
  const Result<aic100::Compiler> compiler = aic100::FindCompiler(request.sdk);
  checks.Add("compiler",
             compiler.ok() ? std::vector<std::string>()
                           : std::vector{fmt::format("{}; {}", compiler.diagnostic().message,
                                                     compiler.diagnostic().notes.front())},
             compiler.ok() ? compiler->path.string() : "");
  const Result<std::string> plugin = aic100::CheckPlugin(request.plugin);
  checks.Add(
      "session library",
      plugin.ok() ? std::vector<std::string>() : std::vector{DescribeProblem(plugin.diagnostic())},
      plugin.ok() ? fmt::format("built for version {}", *plugin) : "");
  DeviceReport result{.report = {.kind = "device", .path = request.sdk.string(), .sections = {}},
                      .failed_checks = checks.failed};
  Fields fields{.name = "", .fields = {}};
  fields.Add("usable", checks.failed == 0);
  const aic100::SdkVersions versions = aic100::ReadSdkVersions(request.sdk);
  fields.Add("apps_sdk", versions.apps.value_or("unknown"));
  fields.Add("platform_sdk", versions.platform.value_or("unknown"));
  fields.Add("hardware_version", aic100::DetectHardwareVersion(request.sdk));
  result.report.Add(std::move(fields));
  result.report.Add(std::move(checks.table));
  if (listed.ok()) {
    Table devices{.name = "devices", .columns = {"line"}, .rows = {}};
    for (const std::string& line : *listed) devices.rows.push_back({line});
    result.report.Add(std::move(devices));
  }
  return result;
}

}  // namespace qeff::inspect
