// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "stages/produce.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

#include "lib/artifact/cache.h"
#include "lib/artifact/input_identity.h"
#include "lib/chat_template/template_files.h"
#include "lib/checkpoint/sentence_transformers.h"
#include "lib/support/log.h"
#include "lib/support/progress.h"
#include "lib/support/version.h"

namespace qeff::stages {
namespace {

/// Files that later stages read from any artifact.
constexpr std::array<std::string_view, 14> kCarriedFiles = {"config.json",
                                                            "generation_config.json",
                                                            "tokenizer.json",
                                                            "tokenizer_config.json",
                                                            "special_tokens_map.json",
                                                            "added_tokens.json",
                                                            "vocab.json",
                                                            "merges.txt",
                                                            "vocab.txt",
                                                            "tokenizer.model",
                                                            "chat_template.jinja",
                                                            "chat_template.json",
                                                            "preprocessor_config.json",
                                                            "processor_config.json"};

}  // namespace

std::filesystem::path PathOf(const Destination& destination, artifact::Manifest manifest) {
  if (!destination.given.empty()) return destination.given;
  manifest.tool_version = std::string(Version());
  return destination.folder / fmt::format("{}-{}", destination.stem, artifact::CacheKey(manifest));
}

Result<std::filesystem::path> Produce(
    const Destination& destination, artifact::Manifest manifest,
    const std::function<Status(artifact::ArtifactWriter&)>& write) {
  manifest.tool_version = std::string(Version());
  const std::string key = artifact::CacheKey(manifest);
  const std::filesystem::path path = PathOf(destination, manifest);
  const Result<artifact::Manifest> existing = artifact::ReadManifest(path, manifest.format);
  if (existing.ok() && artifact::CacheKey(*existing) == key) {
    LogDebug("'{}' is up to date", path.string());
    return path;
  }
  QEFF_ASSIGN_OR_RETURN(artifact::ArtifactWriter out, artifact::ArtifactWriter::Create(path));
  QEFF_RETURN_IF_ERROR(write(out));
  QEFF_RETURN_IF_ERROR(out.Commit(std::move(manifest)));
  return path;
}

Status AddCheckpointInputs(const checkpoint::Checkpoint& checkpoint, artifact::Manifest& manifest) {
  for (const checkpoint::InputFile& file : checkpoint.input_files()) {
    QEFF_ASSIGN_OR_RETURN(artifact::InputEntry entry,
                          artifact::IdentifyInput(file.role, file.path));
    manifest.inputs.push_back(std::move(entry));
  }
  return Status::Ok();
}

Status CarryFiles(const std::filesystem::path& source, artifact::ArtifactWriter& out) {
  for (const std::string_view name : kCarriedFiles) {
    std::error_code error;
    if (std::filesystem::is_regular_file(source / name, error))
      QEFF_RETURN_IF_ERROR(out.CopyFile(source / name, name));
  }
  for (const std::string& name : checkpoint::SentenceFiles(source))
    QEFF_RETURN_IF_ERROR(out.CopyFile(source / name, name));
  std::vector<std::filesystem::path> templates;
  std::error_code error;
  for (const auto& entry :
       std::filesystem::directory_iterator(source / kMoreTemplatesFolder, error)) {
    if (entry.path().extension() == ".jinja") templates.push_back(entry.path());
  }
  std::ranges::sort(templates);  // a folder lists its files in any order
  for (const std::filesystem::path& path : templates) {
    QEFF_RETURN_IF_ERROR(
        out.CopyFile(path, fmt::format("{}/{}", kMoreTemplatesFolder, path.filename().string())));
  }
  return Status::Ok();
}

Status WriteModel(const ir::Model& model, const onnx_io::WriteOptions& options,
                  artifact::ArtifactWriter& out) {
  int64_t total_bytes = 0;
  for (const ir::Value* constant : model.graph.constants())
    total_bytes += constant->constant()->size_bytes();
  Progress progress("writing weights", total_bytes, "B");
  std::optional<artifact::ArtifactFile> data;
  std::string data_name;
  const auto sink = [&](const std::string& name, std::span<const std::byte> bytes) -> Status {
    if (name != data_name) {
      if (data) QEFF_RETURN_IF_ERROR(data->Close());
      QEFF_ASSIGN_OR_RETURN(artifact::ArtifactFile file,
                            out.NewFile(name, artifact::HashKind::kXxh3));
      data.emplace(std::move(file));
      data_name = name;
    }
    progress.Add(static_cast<int64_t>(bytes.size()));
    return data->Append(bytes);
  };
  QEFF_ASSIGN_OR_RETURN(const onnx_io::WrittenModel written,
                        onnx_io::WriteOnnx(model, options, sink));
  if (data) QEFF_RETURN_IF_ERROR(data->Close());
  if (!written.weight_spec.empty())
    QEFF_RETURN_IF_ERROR(out.WriteFile("weight_spec.json", written.weight_spec));
  return out.WriteFile("model.onnx", written.model);
}

Result<std::optional<int64_t>> MaxSeqLen(const std::map<std::string, std::string>& metadata,
                                         const std::string& path) {
  const auto entry = metadata.find(std::string(kMaxSeqLenKey));
  if (entry == metadata.end()) return std::optional<int64_t>();
  const std::string& text = entry->second;
  int64_t tokens = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), tokens);
  if (error != std::errc() || rest != text.data() + text.size() || tokens < 1) {
    return InvalidInput(
        Location::File(path),
        fmt::format("metadata '{}': expected a number of tokens, got '{}'", kMaxSeqLenKey, text));
  }
  return std::optional(tokens);
}

Result<std::optional<artifact::Manifest>> FindManifest(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / artifact::kManifestName;
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return std::optional<artifact::Manifest>();
  // Other programs write files of this name, too; ours name a format of ours.
  QEFF_ASSIGN_OR_RETURN(const std::string text, ReadSmallFile(path));
  if (text.find("\"qeff.") == std::string::npos) return std::optional<artifact::Manifest>();
  QEFF_ASSIGN_OR_RETURN(artifact::Manifest manifest, artifact::ReadManifest(folder));
  return std::optional(std::move(manifest));
}

Status CheckNotArtifact(const std::filesystem::path& folder) {
  QEFF_ASSIGN_OR_RETURN(const std::optional<artifact::Manifest> manifest, FindManifest(folder));
  if (!manifest) return Status::Ok();
  return InvalidInput(Location::File(folder.string()),
                      fmt::format("expected a checkpoint, got a '{}' folder", manifest->format));
}

}  // namespace qeff::stages
