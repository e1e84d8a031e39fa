// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Streams the elements of weights to a sink in bounded blocks. Internal to lib/onnx_io.
#pragma once

#include <string>

#include "lib/onnx_io/writer.h"

namespace qeff::onnx_io {

/// Pages of every machine we know divide this; tensors that start here can be mapped alone.
inline constexpr int64_t kTensorAlignmentBytes = 4096;
/// A block and what it is made of fit into a core's second-level cache, which is what counts: with
/// 32 MiB, transposing and converting a bf16 matrix took two to four times as long.
inline constexpr int64_t kBlockBytes = int64_t{2} << 20;

/// Appends tensors to one data file after the other.
class WeightWriter {
 public:
  /// `split_bytes`: WriteOptions::split_data_bytes.
  WeightWriter(const DataSink& sink, int64_t split_bytes);

  struct Place {
    std::string file_name;
    int64_t offset_bytes = 0;
  };
  /// Writes zeros up to the next multiple of kTensorAlignmentBytes, then the weight's bytes;
  /// returns where they start. File pages that were read are released. Errors: those of the sink,
  /// and of ir::ReadWeight.
  Result<Place> Append(const ir::Weight& weight);

  int64_t total_bytes() const { return finished_bytes_ + offset_bytes_; }  ///< of all files

 private:
  void ChooseFile(int64_t weight_bytes);
  Status Emit(std::span<const std::byte> bytes);
  Status EmitFileBytes(const ir::FileBytes& leaf, int64_t size_bytes);
  Status EmitBlocks(const ir::Weight& weight);

  const DataSink& sink_;
  const int64_t split_bytes_;
  std::string file_name_;
  int64_t file_index_ = 0;
  int64_t tensor_bytes_ = 0;  // of this file's tensors, without what aligns them
  int64_t offset_bytes_ = 0;
  int64_t finished_bytes_ = 0;  // of the files before it
};

}  // namespace qeff::onnx_io
