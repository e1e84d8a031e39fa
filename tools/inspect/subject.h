// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What a path is: the one place where qeff-inspect tells artifacts and input formats apart. Looks
// at names, manifests and first bytes only; the readers of each kind check the rest.
#pragma once

#include <filesystem>
#include <optional>
#include <string_view>

#include "lib/artifact/manifest.h"
#include "lib/support/status.h"

namespace qeff::inspect {

enum class Kind {
  kCheckpoint,   ///< folder with config.json and weights
  kSafetensors,  ///< one file
  kOnnx,         ///< .onnx file, or a folder with one
  kGraph,        ///< our graph folder: an ONNX file in semantic ops
  kQpc,          ///< QPC container, or a folder with programqpc.bin
  kTokenizer,    ///< tokenizer.json, or a folder with a tokenizer's files only
  kArtifact,     ///< folder with a manifest of a format that is none of the above
};
/// "checkpoint", ...
std::string_view KindName(Kind kind);

struct Subject {
  Kind kind = Kind::kCheckpoint;
  std::filesystem::path path;    ///< as the user gave it
  std::filesystem::path file;    ///< the one to open: model.onnx, programqpc.bin, ...; empty for
                                 ///< checkpoints and kArtifact
  std::filesystem::path folder;  ///< empty if the user named a single file
  std::optional<artifact::Manifest> manifest;  ///< of `folder`; its files are not checked yet
};

/// Errors: kIo (not there, unreadable); kInvalidInput (nothing that is known; the notes say what
/// was looked for; a damaged manifest); kVersionMismatch.
Result<Subject> Recognize(const std::filesystem::path& path);

}  // namespace qeff::inspect
