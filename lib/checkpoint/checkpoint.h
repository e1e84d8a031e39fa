// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// A checkpoint folder as the hub has it: config.json, weights in safetensors (one file, or shards
// with an index), tokenizer files. Opening reads headers only and checks that the parts belong
// together; weights are found by name and stay in their mapped files. Families take weights from
// here, stages take the files to carry along.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "lib/checkpoint/model_config.h"
#include "lib/support/dtype.h"
#include "lib/support/file.h"
#include "lib/support/status.h"

namespace qeff::checkpoint {

/// One weight: row-major elements in a mapped file, range checked.
struct TensorRef {
  std::string name;
  size_t file_index = 0;  ///< in Checkpoint::weight_files()
  std::shared_ptr<const MappedFile> file;
  int64_t offset_bytes = 0;  ///< from the start of the file
  int64_t size_bytes = 0;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;

  std::span<const std::byte> bytes() const {
    return file->bytes().subspan(static_cast<size_t>(offset_bytes),
                                 static_cast<size_t>(size_bytes));
  }
};

/// A file of the checkpoint, for the identity of a stage's inputs.
struct InputFile {
  std::string role;  ///< "config", "tokenizer", "weights" or "modules" (of sentence-transformers)
  std::filesystem::path path;
};

/// An open checkpoint. Movable; threads may read at the same time.
class Checkpoint {
 public:
  /// Opens a folder. Weights are, in this order: `model.safetensors`; the shards of
  /// `model.safetensors.index.json`; the only `*.safetensors` there is (adapters are no weights).
  /// Index and shards must name the same tensors. Errors: kIo (folder, config.json or a shard
  /// missing); kInvalidInput (a file is damaged, index and shards disagree); kUnsupported (only
  /// formats that are not read, such as PyTorch pickles). Cost: the headers, whatever the size of
  /// the model.
  static Result<Checkpoint> Open(const std::filesystem::path& folder);

  const std::filesystem::path& folder() const { return folder_; }
  /// A reader of config.json with a fresh record of what was read. Errors: kIo, kInvalidInput.
  Result<ConfigReader> OpenConfig() const;
  bool has_generation_config() const { return has_generation_config_; }

  /// Sorted by name.
  const std::vector<TensorRef>& tensors() const { return tensors_; }
  /// Returns the tensor of that name, or null. Valid while the checkpoint lives.
  const TensorRef* Find(std::string_view name) const;
  /// Paths of the safetensors files: one, or the shards sorted by name.
  const std::vector<std::filesystem::path>& weight_files() const { return weight_files_; }
  /// Names, sorted, of the small files that later stages need: configs, tokenizer, chat template.
  const std::vector<std::string>& carried_files() const { return carried_files_; }
  /// All files that the model's meaning depends on: carried files first, then weights, then the
  /// modules of sentence-transformers.
  std::vector<InputFile> input_files() const;
  /// Findings that do not stop anything, e.g. an index whose total size is wrong.
  const std::vector<Diagnostic>& warnings() const { return warnings_; }

 private:
  explicit Checkpoint(std::filesystem::path folder) : folder_(std::move(folder)) {}
  Status FindCarriedFiles();
  Status OpenWeights();
  Status OpenSingle(const std::string& name);
  Status OpenShards(const std::filesystem::path& index_path);
  void IndexTensors();

  std::filesystem::path folder_;
  bool has_generation_config_ = false;
  std::vector<TensorRef> tensors_;
  std::unordered_map<std::string_view, size_t> index_;  // keys are views of the names in tensors_
  std::vector<std::filesystem::path> weight_files_;
  std::vector<std::string> carried_files_;
  std::vector<Diagnostic> warnings_;
};

}  // namespace qeff::checkpoint
