// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Turns a TensorProto into a weight. Every tensor of a model goes through here, wherever it is
// stored: initializer, Constant node, attribute, function body.
#pragma once

#include "lib/onnx_io/external_data.h"
#include "lib/onnx_io/proto.h"
#include "lib/onnx_io/wire.h"

namespace qeff::onnx_io {

/// Reads the tensors of one model file.
class TensorReader {
 public:
  explicit TensorReader(ir::MappedFilePtr file);

  const std::string& path() const { return file_->path(); }

  /// Returns the tensor as a weight: raw data in the file stays there (`range`), other inline data
  /// is copied, external data is mapped. Errors: kInvalidInput for data that does not fit dtype and
  /// dims; kUnsupported for strings, segments and element types that we do not have.
  Result<ir::WeightPtr> Read(const onnx::TensorProto& tensor, const Location& where,
                             const RawRange& range = {});

 private:
  ir::MappedFilePtr file_;
  ExternalData external_;
};

}  // namespace qeff::onnx_io
