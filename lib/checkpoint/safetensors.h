// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Safetensors files: where each tensor's bytes lie in a mapped file, and a writer. Opening touches
// the header only, whatever the size of the file. The rules are those of the format's specification
// (the README of huggingface/safetensors, format section, and the checks of its Rust reader);
// lib/checkpoint's Checkpoint reads whole models through this, tools read and write single files.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "lib/support/dtype.h"
#include "lib/support/file.h"
#include "lib/support/status.h"

namespace qeff::checkpoint {

/// Returns our dtype for a name of the format ("F32", "BF16", "F8_E4M3", "F4", ...); nullopt for a
/// name that the format does not have or that we have no dtype for (the FNUZ forms of 8-bit
/// floats).
std::optional<DType> DTypeFromSafetensorsName(std::string_view name);
/// Returns the format's name of `dtype`; empty for the dtypes that it does not have (I4, U4).
std::string_view SafetensorsName(DType dtype);

/// One tensor of a file: row-major, little-endian, sub-byte types packed without gaps.
struct StoredTensor {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  int64_t offset_bytes = 0;  ///< from the start of the file
  int64_t size_bytes = 0;
};

/// An open safetensors file. Movable; threads may read at the same time.
class SafetensorsFile {
 public:
  /// Maps `path` and checks the whole header: length within 100,000,000 bytes and the file, a JSON
  /// object followed by spaces only, no key twice, known dtypes, dtype x shape = bytes, and data
  /// that covers the rest of the file without gap or overlap. Errors: kIo; kInvalidInput with the
  /// byte offset or the tensor; kUnsupported for a dtype without equivalent here.
  static Result<SafetensorsFile> Open(const std::filesystem::path& path);

  /// In the order of their bytes in the file.
  const std::vector<StoredTensor>& tensors() const { return tensors_; }
  /// Returns the tensor of that name, or null.
  const StoredTensor* Find(std::string_view name) const;
  /// The free text entries of `__metadata__`, in the order of the file.
  const std::vector<std::pair<std::string, std::string>>& metadata() const { return metadata_; }
  const std::shared_ptr<const MappedFile>& file() const { return file_; }
  /// Bytes before the first tensor's data: 8 for the length, then the header.
  int64_t header_bytes() const { return header_bytes_; }
  /// The mapped bytes of `tensor`, which must be one of this file. Valid while file() is held.
  std::span<const std::byte> Data(const StoredTensor& tensor) const {
    return file_->bytes().subspan(static_cast<size_t>(tensor.offset_bytes),
                                  static_cast<size_t>(tensor.size_bytes));
  }

 private:
  SafetensorsFile() = default;
  std::shared_ptr<const MappedFile> file_;
  std::vector<StoredTensor> tensors_;
  std::unordered_map<std::string_view, size_t> index_;  // keys are views of the names in tensors_
  std::vector<std::pair<std::string, std::string>> metadata_;
  int64_t header_bytes_ = 0;
};

/// A tensor to be written; `data` is row-major and stays the caller's.
struct TensorToWrite {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  std::span<const std::byte> data;
};

/// Writes `tensors` to `path`, complete or not at all, with the bytes that the `safetensors`
/// package writes for the same tensors: widest dtype first, then by name. Errors: kIo;
/// kInvalidInput for a name twice or reserved, bytes that do not fit dtype and shape, a dtype that
/// the format lacks.
Status WriteSafetensors(const std::filesystem::path& path, std::span<const TensorToWrite> tensors,
                        const std::vector<std::pair<std::string, std::string>>& metadata = {});

/// Returns the bytes of a tensor, row-major, sub-byte types packed. Errors: kInvalidInput at
/// `where` for a negative dimension, a size beyond int64, or elements that do not fill whole bytes.
Result<int64_t> CheckedTensorBytes(DType dtype, std::span<const int64_t> shape, Location where);

}  // namespace qeff::checkpoint
