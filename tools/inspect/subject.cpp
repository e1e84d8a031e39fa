// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "tools/inspect/subject.h"

#include <algorithm>
#include <vector>

#include "lib/artifact/qpc.h"
#include "lib/support/file.h"

namespace qeff::inspect {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kProgramName = "programqpc.bin";
constexpr std::string_view kTokenizerName = "tokenizer.json";

/// True for the main file of a tokenizer without tokenizer.json.
bool IsOlderTokenizer(const std::string& name) {
  for (const char* known : {"tokenizer.model", "spiece.model", "sentencepiece.bpe.model",
                            "spm.model", "vocab.json", "vocab.txt"}) {
    if (name == known) return true;
  }
  return name.ends_with(".tiktoken");
}

/// Names of the folder's files, sorted.
Result<std::vector<std::string>> ListFiles(const fs::path& folder) {
  std::error_code error;
  std::vector<std::string> names;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    names.push_back(it->path().filename().string());
  if (error)
    return IoError(Location::File(folder.string()), "cannot list the folder", error.value());
  std::sort(names.begin(), names.end());
  return names;
}

bool Has(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

Status NotKnown(const fs::path& path) {
  return InvalidInput(
      Location::File(path.string()),
      "expected an artifact or an input of the toolchain, got neither",
      {"a folder is known by manifest.json, config.json, programqpc.bin, one .onnx file or "
       "tokenizer.json",
       "a file is known by its name (*.safetensors, *.onnx, tokenizer.json, manifest.json) or as "
       "a QPC container by its first bytes"});
}

Result<Subject> RecognizeArtifact(Subject subject) {
  const fs::path path = subject.folder / artifact::kManifestName;
  QEFF_ASSIGN_OR_RETURN(const std::string text, ReadSmallFile(path));
  QEFF_ASSIGN_OR_RETURN(subject.manifest, artifact::ParseManifest(text, path.string()));
  const std::string& format = subject.manifest->format;
  subject.kind = format == artifact::kGraphFormat  ? Kind::kGraph
                 : format == artifact::kOnnxFormat ? Kind::kOnnx
                 : format == artifact::kQpcFormat  ? Kind::kQpc
                                                   : Kind::kArtifact;
  if (subject.kind == Kind::kQpc) {
    subject.file = subject.folder / kProgramName;
    // The card's compiler insists on a folder of its own.
    const std::filesystem::path card_program = subject.folder / "qpc" / kProgramName;
    std::error_code error;
    if (std::filesystem::exists(card_program, error)) subject.file = card_program;
  }
  if (subject.kind == Kind::kGraph || subject.kind == Kind::kOnnx)
    subject.file = subject.folder / "model.onnx";
  return subject;
}

Result<Subject> RecognizeFolder(const fs::path& path) {
  Subject subject{.path = path, .file = {}, .folder = path, .manifest = {}};
  QEFF_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListFiles(path));
  if (Has(names, artifact::kManifestName)) return RecognizeArtifact(std::move(subject));
  const auto is_onnx = [](const std::string& name) { return name.ends_with(".onnx"); };
  const auto onnx = std::find_if(names.begin(), names.end(), is_onnx);
  if (Has(names, kProgramName)) {
    subject.kind = Kind::kQpc;
    subject.file = path / kProgramName;
  } else if (onnx != names.end()) {
    // Exporters leave config.json beside the graph: the graph is what the folder is about.
    if (std::count_if(names.begin(), names.end(), is_onnx) > 1)
      return InvalidInput(Location::File(path.string()),
                          "expected a folder with one .onnx file, got several",
                          {"name the .onnx file itself"});
    subject.kind = Kind::kOnnx;
    subject.file = path / *onnx;
  } else if (Has(names, "config.json")) {
    subject.kind = Kind::kCheckpoint;
  } else if (Has(names, kTokenizerName)) {
    subject.kind = Kind::kTokenizer;
    subject.file = path / kTokenizerName;
  } else if (const auto older = std::ranges::find_if(names, IsOlderTokenizer);
             older != names.end()) {
    subject.kind = Kind::kTokenizer;
    subject.file = path / *older;
  } else {
    return NotKnown(path);
  }
  return subject;
}

Result<Subject> RecognizeFile(const fs::path& path) {
  const std::string name = path.filename().string();
  if (name == artifact::kManifestName)
    return RecognizeFolder(path.has_parent_path() ? path.parent_path() : fs::path("."));
  Subject subject{.path = path, .file = path, .folder = {}, .manifest = {}};
  QEFF_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
  if (artifact::IsQpc(file.bytes())) {
    subject.kind = Kind::kQpc;
  } else if (name.ends_with(".safetensors")) {
    subject.kind = Kind::kSafetensors;
  } else if (name.ends_with(".onnx")) {
    subject.kind = Kind::kOnnx;
  } else if (name == kTokenizerName) {
    subject.kind = Kind::kTokenizer;
  } else {
    return NotKnown(path);
  }
  return subject;
}

}  // namespace

std::string_view KindName(Kind kind) {
  constexpr std::string_view kNames[] = {"checkpoint", "safetensors", "onnx",    "graph",
                                         "qpc",        "tokenizer",   "artifact"};
  return kNames[static_cast<size_t>(kind)];
}

Result<Subject> Recognize(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) {
    return IoError(Location::File(path.string()), "cannot find the file or folder",
                   error ? error.value() : ENOENT);
  }
  return fs::is_directory(status) ? RecognizeFolder(path) : RecognizeFile(path);
}

}  // namespace qeff::inspect
