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

/// Copies what the checkpoint consists of, links followed, into a sibling that then takes the name
/// `output`.
Status CopyCheckpoint(const checkpoint::Checkpoint& checkpoint,
                      const std::filesystem::path& output) {
  std::error_code error;
  if (std::filesystem::exists(output, error) && !std::filesystem::is_empty(output, error)) {
    return UsageError(Location::File(output.string()), "the output folder exists and is not empty",
                      {"choose another folder with -o, or remove it"});
  }
  const std::filesystem::path temporary = output.string() + ".part";
  std::filesystem::remove_all(temporary, error);
  std::filesystem::create_directories(temporary, error);
  for (const checkpoint::InputFile& file : checkpoint.input_files()) {
    if (error) break;
    // The name that the checkpoint uses, the content that it points at.
    std::filesystem::copy_file(file.path, temporary / file.path.filename(), error);
  }
  if (!error) std::filesystem::remove(output, error);
  if (!error) std::filesystem::rename(temporary, output, error);
  if (!error) return Status::Ok();
  std::error_code ignored;
  std::filesystem::remove_all(temporary, ignored);
  return IoError(Location::File(output.string()),
                 fmt::format("cannot copy the checkpoint: {}", error.message()));
}

}  // namespace

Result<std::filesystem::path> Fetch(const std::string& model, const FetchOptions& options) {
  QEFF_ASSIGN_OR_RETURN(const hub::Snapshot snapshot,
                        hub::Resolve(model, hub::CacheFolderFromEnvironment()));
  for (const std::string& note : snapshot.notes) LogInfoText(note);
  QEFF_RETURN_IF_ERROR(CheckNotArtifact(snapshot.folder));
  QEFF_RETURN_IF_ERROR(hub::CheckComplete(snapshot));
  QEFF_ASSIGN_OR_RETURN(const checkpoint::Checkpoint checkpoint,
                        checkpoint::Checkpoint::Open(snapshot.folder));
  for (const Diagnostic& warning : checkpoint.warnings()) LogWarningText(warning.ToString());
  if (options.verify_hashes) {
    QEFF_ASSIGN_OR_RETURN(const hub::VerifyReport report, hub::VerifyHashes(snapshot.folder));
    LogInfo("{} files verified ({:.3f} GB), {} without a known hash", report.verified.size(),
            static_cast<double>(report.verified_bytes) * 1e-9, report.unknown.size());
  }
  if (options.output.empty()) return snapshot.folder;
  QEFF_RETURN_IF_ERROR(CopyCheckpoint(checkpoint, options.output));
  return options.output;
}

}  // namespace qeff::stages
