// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// manifest.json, the file that makes a folder an artifact: what it holds, which program and options
// made it, from which inputs. Stages read it to accept their input; only ArtifactWriter
// (artifact_folder.h) writes one into a folder. The same values give the same bytes: nothing in it
// depends on time, process, output path or the order of a hash table.
//
// Version log (one version for the manifest and the folders it describes):
//   1.0  first version
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "lib/support/status.h"

namespace qeff::artifact {

inline constexpr std::string_view kManifestName = "manifest.json";

// What `Manifest::format` may say. A reader asks for the one that it can use.
inline constexpr std::string_view kGraphFormat = "qeff.graph";
inline constexpr std::string_view kOnnxFormat = "qeff.onnx";
inline constexpr std::string_view kQpcFormat = "qeff.qpc";

/// Readers take any minor of their own major.
struct FormatVersion {
  int major = 1;
  int minor = 0;
  std::string ToString() const;
};
inline constexpr FormatVersion kFormatVersion{1, 0};

/// How the content of a file is identified: SHA-256 for small files, XXH3-128 for weight data.
enum class HashKind { kSha256, kXxh3 };

struct FileEntry {
  int64_t size_bytes = 0;
  HashKind hash_kind = HashKind::kSha256;
  std::string hash;  ///< lower-case hex
};

/// An input that is not an artifact, e.g. {"role": "weights", "name": "model.safetensors",
/// "sha256": "..."}. `name` is the file's own name, without folders. Made by IdentifyInput
/// (input_identity.h).
struct InputEntry {
  std::string role;
  std::string name;
  std::map<std::string, std::string> identity;
};

/// One graph of the artifact. A single module lies at the top of the folder; several lie in folders
/// of their own names.
struct ModuleEntry {
  std::string name;
  std::vector<std::string> files;  ///< keys of Manifest::files, in an order that the format defines
};

/// The artifact that this one was made from.
struct ParentEntry {
  std::string format;
  std::string manifest_sha256;  ///< of the parent's manifest.json
};

using OptionValue = std::variant<bool, int64_t, double, std::string, std::vector<int64_t>,
                                 std::vector<std::string>>;

struct Manifest {
  std::string format;  ///< kGraphFormat, ...
  FormatVersion version = kFormatVersion;
  std::string tool;          ///< e.g. "qeff-export"
  std::string tool_version;  ///< e.g. "0.1.0 (389ab77)"
  std::map<std::string, OptionValue>
      options;  ///< every option that can change the output, defaults included
  std::vector<InputEntry> inputs;
  std::vector<ModuleEntry> modules;
  std::map<std::string, FileEntry> files;  ///< by path relative to the folder, '/' between parts
  std::vector<ParentEntry> parents;
};

/// Returns the bytes of manifest.json.
std::string WriteManifest(const Manifest& manifest);

/// Reads the text of a manifest.json; `path` names it in errors. Fields that a later minor may have
/// added are ignored, absent ones keep their defaults. Errors: kInvalidInput (not JSON, wrong type,
/// a file path that leaves the folder); kVersionMismatch (another major).
Result<Manifest> ParseManifest(std::string_view text, std::string_view path);

/// Reads `folder`/manifest.json and checks that every file it names is there with its size.
/// `expected_format` other than
/// "" must be the format. Errors: as ParseManifest; kIo (no such folder); kInvalidInput (no
/// manifest, another format, a missing file, another size).
Result<Manifest> ReadManifest(const std::filesystem::path& folder,
                              std::string_view expected_format = "");

/// Hashes every file of the artifact and adds an error to `findings` for each that differs. Reads
/// all bytes.
void VerifyFiles(const std::filesystem::path& folder, const Manifest& manifest,
                 Diagnostics& findings);

/// Returns the entry with which a child names the artifact in `folder` as its parent. Errors: kIo,
/// kInvalidInput.
Result<ParentEntry> DescribeParent(const std::filesystem::path& folder);

/// Returns true if `path` is relative, not empty, and has no empty, "." or ".." part: it stays
/// within its folder.
bool IsInsidePath(std::string_view path);

/// Returns the hash of a whole file in bounded memory. Errors: kIo.
Result<FileEntry> HashFile(const std::filesystem::path& path, HashKind kind);

}  // namespace qeff::artifact
