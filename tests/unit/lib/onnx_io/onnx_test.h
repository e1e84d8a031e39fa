// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What the tests of this folder share: temporary folders, the recorded exports of QEfficient,
// writing models to disk, and building protobuf models by hand for damaged inputs.
#pragma once

#include <onnx/onnx_pb.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "lib/onnx_io/writer.h"

namespace qeff::onnx_io {

/// A folder that goes when the object goes.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// The folder of shared data, or an empty path if it is absent; prints SKIPPED then.
std::filesystem::path SharedData();
/// Every .onnx file that QEfficient wrote; empty if the shared data is absent.
std::vector<std::filesystem::path> RecordedModels();

void WriteText(const std::filesystem::path& path, std::string_view content);
std::string ReadText(const std::filesystem::path& path);

/// Writes model.onnx, its data file and weight_spec.json as lib/artifact would; fails the test on
/// an error.
void WriteModel(const ir::Model& model, const WriteOptions& options,
                const std::filesystem::path& folder);

/// A valid model: y = Add(x, w), x and y float[2, 3], w an initializer without data.
onnx::ModelProto AddModel();
/// Stores the message as model.onnx in `folder`; returns its path.
std::filesystem::path Store(const onnx::ModelProto& model, const std::filesystem::path& folder);

/// The error text of reading `path`; "" if it can be read.
std::string ReadError(const std::filesystem::path& path);

/// Expects the same nodes, names, attributes, types, constants (by value), functions.
void RequireSameModel(const ir::Model& a, const ir::Model& b);

}  // namespace qeff::onnx_io
