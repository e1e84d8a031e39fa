// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/aic100/card_session.h"
#include "backends/aic100/compiler_messages.h"
#include "backends/aic100/process.h"
#include "backends/aic100/sdk.h"
#include "tools/inspect/readers.h"

namespace qeff::inspect {
namespace {

/// The whole output of the vendor's device list, or why there is none.
std::string ListDevices(const std::filesystem::path& sdk) {
  const std::filesystem::path tool = sdk / "tools" / "qaic-util";
  std::error_code error;
  if (!std::filesystem::exists(tool, error)) return "no tools/qaic-util: install the Platform SDK";
  std::string output;
  const auto end = aic100::RunProcess(
      {tool.string(), "-q"},
      {.time_limit = std::chrono::seconds(10), .on_output = [&output](std::string_view text) {
         output += text;
         return Status::Ok();
       }});
  if (!end.ok()) return end.diagnostic().message;
  return end->ok() ? output : end->ToString();
}

}  // namespace

Report ReadDevice(const std::filesystem::path& sdk) {
  Report report{.kind = "device", .path = sdk.string(), .sections = {}};
  Fields fields{.name = "", .fields = {}};
  const std::vector<std::string> problems = aic100::DiagnoseCard();
  fields.Add("card", problems.empty() ? Cell("pass") : Cell(problems));
  const Result<aic100::Compiler> compiler = aic100::FindCompiler(sdk);
  fields.Add("compiler", compiler.ok() ? compiler->path.string() : compiler.diagnostic().message);
  const aic100::SdkVersions versions = aic100::ReadSdkVersions(sdk);
  fields.Add("apps_sdk", versions.apps.value_or("unknown"));
  fields.Add("platform_sdk", versions.platform.value_or("unknown"));
  fields.Add("hardware_version", aic100::DetectHardwareVersion(sdk));
  const std::string listed = ListDevices(sdk);
  if (const aic100::KnownMessage* known = aic100::Recognize(listed))
    fields.Add("problem", fmt::format("{}: {}", known->meaning, known->remedy));
  report.Add(std::move(fields));
  Table devices{.name = "devices", .columns = {"line"}, .rows = {}};
  std::string line;
  for (const char character : listed + "\n") {
    if (character != '\n') {
      line += character == '\t' ? ' ' : character;
    } else if (!line.empty()) {
      devices.rows.push_back({line});
      line.clear();
    }
  }
  report.Add(std::move(devices));
  return report;
}

}  // namespace qeff::inspect
