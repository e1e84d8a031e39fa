// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Reads an ONNX file without copying the bytes of its weights: the protobuf message is parsed as
// usual except for the raw data of big initializers, whose place in the file is returned instead.
#pragma once

#include <vector>

#include "lib/onnx_io/proto.h"
#include "lib/support/file.h"

namespace qeff::onnx_io {

/// Initializers with at least this many raw bytes are left in the file; smaller ones are copied.
inline constexpr size_t kInFileBytes = 4096;
/// What may be parsed into memory: everything except those raw bytes. Bounds what a hostile file
/// can cost.
inline constexpr size_t kMostParsedBytes = size_t{512} << 20;

struct RawRange {
  int64_t offset_bytes = -1;  ///< from the start of the file; -1: the data is in the message
  int64_t size_bytes = 0;
};

struct ScannedModel {
  onnx::ModelProto model;
  /// One per initializer of the main graph, in order.
  std::vector<RawRange> initializer_data;
};

/// Errors: kInvalidInput with the byte offset for bytes that are not an ONNX model; kUnsupported
/// above 2 GiB, which protobuf forbids.
Result<ScannedModel> ScanModel(const MappedFile& file);

}  // namespace qeff::onnx_io
