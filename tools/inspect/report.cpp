// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "tools/inspect/report.h"

#include <charconv>

#include "lib/hub/verify.h"
#include "tools/inspect/readers.h"

namespace qeff::inspect {
namespace {

struct OptionToCell {
  Cell operator()(const std::vector<int64_t>& list) const {
    return ir::Shape(list.begin(), list.end());
  }
  template <typename T>
  Cell operator()(const T& value) const {
    return value;
  }
};

/// An identity is a size and a hash of some kind; either may be missing.
std::vector<Cell> InputRow(const artifact::InputEntry& input) {
  std::vector<Cell> row = {input.role, input.name, Cell(), Cell(), Cell()};
  for (const auto& [kind, value] : input.identity) {
    int64_t size_bytes = 0;
    const char* end = value.data() + value.size();
    if (kind != "bytes") {
      row[3] = kind;
      row[4] = value;
    } else if (std::from_chars(value.data(), end, size_bytes).ptr == end) {
      row[2] = size_bytes;
    }
  }
  return row;
}

}  // namespace

void AddManifest(const artifact::Manifest& manifest, Report& report) {
  Fields head{.name = "manifest", .fields = {}};
  head.Add("format", manifest.format);
  head.Add("format_version", manifest.version.ToString());
  head.Add("tool", manifest.tool);
  head.Add("tool_version", manifest.tool_version);
  report.Add(std::move(head));
  Fields options{.name = "options", .fields = {}};
  for (const auto& [name, value] : manifest.options)
    options.Add(name, std::visit(OptionToCell(), value));
  report.Add(std::move(options));
  Table inputs{.name = "made_from",
               .columns = {"role", "name", "size_bytes", "hash_kind", "hash"},
               .rows = {}};
  for (const artifact::InputEntry& input : manifest.inputs) inputs.rows.push_back(InputRow(input));
  for (const artifact::ParentEntry& parent : manifest.parents) {
    inputs.rows.push_back({std::string("artifact"), parent.format, Cell(), std::string("sha256"),
                           parent.manifest_sha256});
  }
  report.Add(std::move(inputs));
  Table files{.name = "files", .columns = {"name", "size_bytes", "hash_kind", "hash"}, .rows = {}};
  for (const auto& [name, file] : manifest.files) {
    const bool is_sha = file.hash_kind == artifact::HashKind::kSha256;
    files.rows.push_back(
        {name, file.size_bytes, std::string(is_sha ? "sha256" : "xxh3_128"), file.hash});
  }
  report.Add(std::move(files));
}

Result<Report> MakeReport(const Subject& subject, const ReadOptions& options) {
  Report report{.kind = std::string(KindName(subject.kind)), .path = subject.path.string()};
  if (subject.manifest) {
    // Now with a look at the files: what is said below must be about a whole artifact.
    QEFF_RETURN_IF_ERROR(artifact::ReadManifest(subject.folder).status());
  }
  switch (subject.kind) {
    case Kind::kCheckpoint:
      QEFF_RETURN_IF_ERROR(ReadCheckpoint(subject.folder, options, report));
      break;
    case Kind::kSafetensors:
      QEFF_RETURN_IF_ERROR(ReadSafetensors(subject.file, report));
      break;
    case Kind::kOnnx:
    case Kind::kGraph:
      QEFF_RETURN_IF_ERROR(ReadOnnxModel(subject.file, options, report));
      break;
    case Kind::kQpc:
      QEFF_RETURN_IF_ERROR(ReadQpc(subject.file, subject.folder, report));
      break;
    case Kind::kTokenizer:
      QEFF_RETURN_IF_ERROR(ReadTokenizer(subject.file, report));
      break;
    case Kind::kArtifact:
      break;
  }
  if (subject.manifest) AddManifest(*subject.manifest, report);
  return report;
}

Result<Fields> VerifyContent(const Subject& subject) {
  Fields checked{.name = "verification", .fields = {}};
  if (subject.manifest) {
    Diagnostics findings;
    artifact::VerifyFiles(subject.folder, *subject.manifest, findings);
    if (findings.error_count() > 0) {
      std::vector<std::string> notes;
      for (const Diagnostic& finding : findings.findings())
        notes.push_back(finding.where.ToString() + ": " + finding.message);
      return InvalidInput(Location::File(subject.path.string()),
                          fmt::format("{} of {} files are not what {} says", findings.error_count(),
                                      subject.manifest->files.size(), artifact::kManifestName),
                          std::move(notes));
    }
    checked.Add("verified_files", static_cast<int64_t>(subject.manifest->files.size()));
  } else if (subject.kind == Kind::kCheckpoint) {
    QEFF_ASSIGN_OR_RETURN(const hub::VerifyReport hashes,
                          hub::VerifyHashes({.folder = subject.folder}));
    if (hashes.verified.empty()) {
      return UsageError(
          Location::Flag("--verify"),
          fmt::format("no hash is known for the files of '{}'", subject.folder.string()),
          {"only artifacts and snapshots of a Hugging Face cache can be verified"});
    }
    checked.Add("verified_files", static_cast<int64_t>(hashes.verified.size()));
    checked.Add("verified_bytes", hashes.verified_bytes);
    checked.Add("files_without_hash", hashes.unknown);
  } else {
    return UsageError(Location::Flag("--verify"),
                      fmt::format("no hash is known for '{}'", subject.path.string()),
                      {"only artifacts and snapshots of a Hugging Face cache can be verified"});
  }
  return checked;
}

}  // namespace qeff::inspect
