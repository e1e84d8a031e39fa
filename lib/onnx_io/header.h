// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What an ONNX file says about itself besides its graph: who wrote it, for which opsets, with which
// functions. For qeff-inspect; stages read models with ReadOnnx.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "lib/support/status.h"

namespace qeff::onnx_io {

struct FunctionHeader {
  std::string domain;
  std::string name;
  int64_t node_count = 0;
  int64_t input_count = 0;
  int64_t output_count = 0;
};

struct OnnxHeader {
  int64_t ir_version = 0;
  std::string producer_name;
  std::string producer_version;
  std::vector<std::pair<std::string, int64_t>> opsets;  ///< domain ("" is ai.onnx), version
  std::map<std::string, std::string> metadata;
  std::vector<FunctionHeader> functions;  ///< all, also those that ReadOnnx takes for ops
};

/// Returns the header of the .onnx file `path`. Errors: kIo; kInvalidInput (not an ONNX model,
/// names that are not text); kUnsupported (2 GiB and more).
Result<OnnxHeader> ReadOnnxHeader(const std::filesystem::path& path);

}  // namespace qeff::onnx_io
