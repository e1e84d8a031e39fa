// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The one place that opens files named by an ONNX file. A name is resolved against the folder of
// the .onnx; the file it leads to must lie in that folder, in the folder of the real .onnx file
// (behind a symlink), or in blobs/ of the same Hugging Face cache entry; anything else is refused.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "lib/ir/weight.h"
#include "lib/onnx_io/proto.h"

namespace qeff::onnx_io {

/// Data files of one model, each mapped once.
class ExternalData {
 public:
  /// `model_path` as the user named it. Reads nothing.
  explicit ExternalData(std::filesystem::path model_path);

  /// Returns a weight over the bytes that `tensor` (data_location EXTERNAL) names; dtype and dims
  /// are already checked. Errors: kInvalidInput for unknown, repeated or malformed entries, a name
  /// that leads out of the allowed folders, or a range that is not the tensor's; kIo if the file
  /// cannot be opened.
  Result<ir::WeightPtr> Read(const onnx::TensorProto& tensor, DType dtype,
                             std::vector<int64_t> dims, const Location& where);

 private:
  Result<ir::MappedFilePtr> Open(const std::string& location, const Location& where);
  bool IsAllowed(const std::filesystem::path& canonical) const;

  std::filesystem::path folder_;
  std::vector<std::filesystem::path> allowed_folders_;
  std::map<std::string, ir::MappedFilePtr> files_;
};

}  // namespace qeff::onnx_io
