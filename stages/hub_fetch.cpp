// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "stages/hub_fetch.h"

#include <algorithm>
#include <thread>

#include "lib/hub/cache.h"
#include "lib/hub/client/download.h"
#include "lib/hub/inventory.h"
#include "lib/hub/model_source.h"
#include "lib/support/log.h"

namespace qeff::stages {
namespace {

namespace fs = std::filesystem;

struct HubJob {
  hub::HubSettings settings;
  hub::DownloadRequest request;
};

Result<HubJob> MakeJob(const hub::ModelSource& source, const HubFetchOptions& options) {
  HubJob job;
  QEFF_ASSIGN_OR_RETURN(job.settings, hub::SettingsFromEnvironment());
  for (const std::string& warning : job.settings.warnings) LogWarningText(warning);
  job.settings.show_progress = job.settings.show_progress && options.show_progress;
  // The token stays with the usual hub: an address that someone typed gets none.
  if (!source.endpoint.empty()) {
    job.settings.endpoint = source.endpoint;
    const bool is_usual = hub::Origin(source.endpoint) == job.settings.token_origin;
    if (!is_usual && !job.settings.token.empty()) {
      LogDebug("no token is sent to {}: set HF_ENDPOINT to make it your hub", source.endpoint);
    }
    if (!is_usual) job.settings.token.clear();
  }
  job.request = {.repo = source.repo,
                 .selection = options.selection,
                 .cache_folder = hub::CacheFolderFromEnvironment(),
                 .local_dir = options.local_dir,
                 .connections = options.connections,
                 .attempts = options.attempts};
  std::string& subfolder = job.request.selection.subfolder;
  if (subfolder.empty()) subfolder = source.subfolder;
  while (subfolder.ends_with('/')) subfolder.pop_back();
  if (job.request.cache_folder.empty()) {
    return IoError(Location::Flag("MODEL"), "no Hugging Face cache to fetch into", 0,
                   {"set HF_HUB_CACHE to its folder"});
  }
  return job;
}

/// Errors: kUsage for options that only mean something with a hub.
Status CheckFolderOptions(const hub::ModelSource& source, const HubFetchOptions& options) {
  const char* flag = nullptr;
  if (!options.selection.include.empty()) flag = "--include";
  if (!options.selection.exclude.empty()) flag = "--exclude";
  if (options.selection.all) flag = "--all";
  if (!options.local_dir.empty()) flag = "--local-dir";
  if (flag == nullptr) return Status::Ok();
  return UsageError(
      Location::Flag(flag),
      fmt::format("'{}' is a folder, expected a model on a hub", source.folder.string()),
      {"copy a folder with -o"});
}

std::string Gigabytes(int64_t bytes) {
  return fmt::format("{:.3f} GB", static_cast<double>(bytes) * 1e-9);
}

}  // namespace

int DefaultConnections() {
  return static_cast<int>(std::clamp(2 * std::thread::hardware_concurrency(), 4U, 8U));
}

Result<fs::path> FetchFromHub(const std::string& model, const HubFetchOptions& options) {
  QEFF_ASSIGN_OR_RETURN(const hub::ModelSource source, hub::ParseModelSource(model));
  if (!source.folder.empty()) {
    QEFF_RETURN_IF_ERROR(CheckFolderOptions(source, options));
    std::filesystem::path folder = source.folder;
    if (!options.selection.subfolder.empty()) folder /= options.selection.subfolder;
    return FinishFetch({.folder = std::move(folder)}, options.fetch);
  }
  QEFF_ASSIGN_OR_RETURN(const HubJob job, MakeJob(source, options));
  QEFF_ASSIGN_OR_RETURN(const hub::Snapshot snapshot, hub::Download(job.settings, job.request));
  const hub::Selection& selection = job.request.selection;
  const bool is_by_default =
      selection.include.empty() && selection.exclude.empty() && !selection.all;
  if (is_by_default) return FinishFetch(snapshot, options.fetch);
  for (const std::string& note : snapshot.notes) LogInfoText(note);
  QEFF_RETURN_IF_ERROR(VerifyFetched(snapshot, options.fetch));
  return snapshot.folder;
}

Result<std::string> DryRun(const std::string& model, const HubFetchOptions& options) {
  QEFF_ASSIGN_OR_RETURN(const hub::ModelSource source, hub::ParseModelSource(model));
  if (!source.folder.empty()) {
    return UsageError(Location::Flag("--dry-run"),
                      fmt::format("'{}' is a folder, there is nothing to fetch", model));
  }
  QEFF_ASSIGN_OR_RETURN(const HubJob job, MakeJob(source, options));
  QEFF_ASSIGN_OR_RETURN(const hub::DownloadPlan plan, hub::PlanDownload(job.settings, job.request));
  std::string table;
  int64_t total_bytes = 0;
  int64_t missing_bytes = 0;
  for (const hub::PlannedFile& planned : plan.files) {
    const int64_t size_bytes = planned.file.size_bytes;
    const char* state = planned.missing_bytes == 0           ? "here"
                        : planned.missing_bytes < size_bytes ? "part"
                                                             : "get";
    table += fmt::format("{:>15}  {:<4}  {}\n", size_bytes, state, planned.file.path);
    total_bytes += size_bytes;
    missing_bytes += planned.missing_bytes;
  }
  table += fmt::format("{:>15}        {} files of {} of commit {}, {} to get ({})", total_bytes,
                       plan.files.size(), plan.listing.size(), plan.commit, missing_bytes,
                       Gigabytes(missing_bytes));
  return table;
}

std::string CacheTable() {
  std::string table;
  for (const hub::CachedSnapshot& snapshot : hub::ListCache(hub::CacheFolderFromEnvironment())) {
    table += fmt::format("{:<50}  {}  {:>12}  {:>4} files  {:<10}  {}\n", snapshot.repo,
                         snapshot.commit, Gigabytes(snapshot.size_bytes), snapshot.file_count,
                         snapshot.is_complete ? "complete" : "incomplete",
                         fmt::join(snapshot.refs, " "));
  }
  return table;
}

}  // namespace qeff::stages
