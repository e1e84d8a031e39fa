// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Writes graphs as ONNX: IR version 8, opset 17, the function bodies of the AI 100 compiler's ops
// included. The same model and options give the same bytes. Weights are evaluated in blocks and
// streamed, so memory does not grow with the model. Files are the caller's business (lib/artifact).
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>

#include "lib/ir/graph.h"

namespace qeff::onnx_io {

struct WriteOptions {
  enum class Weights {
    kExternal,  ///< tensors above `inline_limit_bytes` go to the data file
    kReference  ///< they become graph inputs after the real ones; weight_spec.json says what they
                ///< are
  };
  Weights weights = Weights::kExternal;
  /// Constants of at most this size are stored in the model itself.
  int64_t inline_limit_bytes = 1024;
  /// 0: all tensors go to one file, "model.onnx.data". Else to "model_0.onnx.data",
  /// "model_1.onnx.data", ...: a tensor that would bring those of a file beyond so many bytes
  /// begins the next one. The files lie beside the model.
  int64_t split_data_bytes = 0;
};

/// Receives the bytes of the data files, one file after the other, in order, a few MiB at a time.
using DataSink = std::function<Status(const std::string& file_name, std::span<const std::byte>)>;

struct WrittenModel {
  std::string model;        ///< content of model.onnx
  std::string weight_spec;  ///< content of weight_spec.json; empty unless kReference
  int64_t data_bytes = 0;   ///< size of the data files together; 0: there are none
};

/// Each tensor of a data file starts at a multiple of 4096 bytes (pages can be mapped). Names of
/// nodes and values are kept; a value whose name an output needs gets a suffix. Inputs need a
/// dtype; outputs are written with their declared shape, else with the shape of their value.
/// Errors: kInvalidInput (an input or output has no element type); kUnsupported (a dtype that ONNX
/// lacks, a recipe that cannot be evaluated); those of `sink`.
Result<WrittenModel> WriteOnnx(const ir::Model& model, const WriteOptions& options,
                               const DataSink& sink);

}  // namespace qeff::onnx_io
