// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What transform, export and compile share: where the result goes, whether it is there already, and
// writing it whole.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/artifact/artifact_folder.h"
#include "lib/artifact/manifest.h"
#include "lib/checkpoint/checkpoint.h"
#include "lib/onnx_io/writer.h"

namespace qeff::stages {

// Metadata of models that read a text at once. Without the task, a model generates text.
inline constexpr std::string_view kTaskKey = "qeff_task";              ///< families::TaskName
inline constexpr std::string_view kMaxSeqLenKey = "qeff_max_seq_len";  ///< tokens of a text at most

/// Where a result goes: to `given` if it is not empty, else to `folder` / (`stem` + "-" + cache
/// key).
struct Destination {
  std::filesystem::path given;
  std::filesystem::path folder;
  std::string stem;
};

/// Returns the path that Produce takes for `manifest`.
std::filesystem::path PathOf(const Destination& destination, artifact::Manifest manifest);

/// Returns the path of the artifact that `manifest` describes (format, tool, options, inputs,
/// parents; files and version are filled in here). If it is there already with the same key it is
/// left as it is; else `write` fills a new one, which then takes its place in one step. Errors:
/// those of `write`; kIo; kUsage if the place is taken by something that is not an artifact.
Result<std::filesystem::path> Produce(
    const Destination& destination, artifact::Manifest manifest,
    const std::function<Status(artifact::ArtifactWriter&)>& write);

/// Adds the checkpoint's files to `manifest.inputs`.
Status AddCheckpointInputs(const checkpoint::Checkpoint& checkpoint, artifact::Manifest& manifest);

/// Copies the files that a stage only carries along, if they are in `source`: configs, tokenizer,
/// chat template.
Status CarryFiles(const std::filesystem::path& source, artifact::ArtifactWriter& out);

/// Writes model.onnx and, depending on `options`, its data files or weight_spec.json.
Status WriteModel(const ir::Model& model, const onnx_io::WriteOptions& options,
                  artifact::ArtifactWriter& out);

/// Returns the number of tokens that a text can have at most, as the metadata of the ONNX file
/// `path` says; nothing if any number can be. Errors: kInvalidInput (not a number from 1 on).
Result<std::optional<int64_t>> MaxSeqLen(const std::map<std::string, std::string>& metadata,
                                         const std::string& path);

/// Returns the manifest of `folder`, or nothing if it is no artifact of ours. Errors: as
/// artifact::ReadManifest for an artifact that is damaged or of another version.
Result<std::optional<artifact::Manifest>> FindManifest(const std::filesystem::path& folder);

/// Errors: kInvalidInput if `folder` is an artifact of ours, so no checkpoint; those of
/// FindManifest.
Status CheckNotArtifact(const std::filesystem::path& folder);

}  // namespace qeff::stages
