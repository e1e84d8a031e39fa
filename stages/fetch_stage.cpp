// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/checkpoint/checkpoint.h"
#include "lib/hub/cache.h"
#include "lib/hub/verify.h"
#include "lib/support/log.h"
#include "stages/produce.h"
#include "stages/stages.h"

namespace qeff::stages {
namespace {

namespace fs = std::filesystem;

/// Copies `files` of `folder`, links followed, into a sibling that then takes the name `output`.
Status CopyFiles(const std::vector<fs::path>& files, const fs::path& folder,
                 const fs::path& output) {
  std::error_code error;
  if (fs::exists(output, error) && !fs::is_empty(output, error)) {
    return UsageError(Location::File(output.string()), "the output folder exists and is not empty",
                      {"choose another folder with -o, or remove it"});
  }
  const fs::path temporary = output.string() + ".part";
  fs::remove_all(temporary, error);
  fs::create_directories(temporary, error);
  for (const fs::path& file : files) {
    if (error) break;
    // The name that the checkpoint uses, the content that it points at.
    const fs::path copy = temporary / file.lexically_relative(folder);
    fs::create_directories(copy.parent_path(), error);
    fs::copy_file(file, copy, error);
  }
  if (!error) fs::remove(output, error);
  if (!error) fs::rename(temporary, output, error);
  if (!error) return Status::Ok();
  std::error_code ignored;
  fs::remove_all(temporary, ignored);
  return IoError(Location::File(output.string()),
                 fmt::format("cannot copy the checkpoint: {}", error.message()));
}

/// GGUF files carry their config; nothing else of the folder is needed.
std::vector<fs::path> GgufFiles(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  if (fs::exists(folder / "config.json", error)) return files;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".gguf") files.push_back(entry.path());
  }
  return files;
}

/// Opens the checkpoint, to see that it can be read, and returns the files that it consists of.
Result<std::vector<fs::path>> CheckpointFiles(const fs::path& folder) {
  if (std::vector<fs::path> files = GgufFiles(folder); !files.empty()) return files;
  QEFF_ASSIGN_OR_RETURN(const checkpoint::Checkpoint checkpoint,
                        checkpoint::Checkpoint::Open(folder));
  for (const Diagnostic& warning : checkpoint.warnings()) LogWarningText(warning.ToString());
  std::vector<fs::path> files;
  for (const checkpoint::InputFile& file : checkpoint.input_files()) files.push_back(file.path);
  return files;
}

}  // namespace

Result<fs::path> FinishFetch(const hub::Snapshot& snapshot, const FetchOptions& options) {
  for (const std::string& note : snapshot.notes) LogInfoText(note);
  QEFF_RETURN_IF_ERROR(CheckNotArtifact(snapshot.folder));
  QEFF_RETURN_IF_ERROR(hub::CheckComplete(snapshot));
  QEFF_ASSIGN_OR_RETURN(const std::vector<fs::path> files, CheckpointFiles(snapshot.folder));
  QEFF_RETURN_IF_ERROR(VerifyFetched(snapshot, options));
  if (options.output.empty()) return snapshot.folder;
  QEFF_RETURN_IF_ERROR(CopyFiles(files, snapshot.folder, options.output));
  return options.output;
}

Status VerifyFetched(const hub::Snapshot& snapshot, const FetchOptions& options) {
  if (!options.verify_hashes) return Status::Ok();
  QEFF_ASSIGN_OR_RETURN(const hub::VerifyReport report, hub::VerifyHashes(snapshot));
  LogInfo("{} files verified ({:.3f} GB), {} without a known hash", report.verified.size(),
          static_cast<double>(report.verified_bytes) * 1e-9, report.unknown.size());
  return Status::Ok();
}

Result<fs::path> Fetch(const std::string& model, const FetchOptions& options) {
  QEFF_ASSIGN_OR_RETURN(const hub::Snapshot snapshot,
                        hub::Resolve(model, hub::CacheFolderFromEnvironment()));
  return FinishFetch(snapshot, options);
}

}  // namespace qeff::stages
