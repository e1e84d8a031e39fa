// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Streams the elements of weights to a sink in bounded blocks. Internal to lib/onnx_io.
#pragma once

#include "lib/onnx_io/writer.h"

namespace qeff::onnx_io {

/// Pages of every machine we know divide this; tensors that start here can be mapped alone.
inline constexpr int64_t kTensorAlignmentBytes = 4096;
/// A block and what it is made of fit into a core's second-level cache, which is what counts: with
/// 32 MiB, transposing and converting a bf16 matrix took two to four times as long.
inline constexpr int64_t kBlockBytes = int64_t{2} << 20;

/// Appends tensors to one data file.
class WeightWriter {
 public:
  explicit WeightWriter(const DataSink& sink) : sink_(sink) {}

  /// Writes zeros up to the next multiple of kTensorAlignmentBytes, then the weight's bytes;
  /// returns where they start. File pages that were read are released. Errors: those of the sink,
  /// and of ir::ReadWeight.
  Result<int64_t> Append(const ir::Weight& weight);

  int64_t offset_bytes() const { return offset_bytes_; }

 private:
  Status Emit(std::span<const std::byte> bytes);
  Status EmitFileBytes(const ir::FileBytes& leaf, int64_t size_bytes);
  Status EmitBlocks(const ir::Weight& weight);

  const DataSink& sink_;
  int64_t offset_bytes_ = 0;
};

}  // namespace qeff::onnx_io
