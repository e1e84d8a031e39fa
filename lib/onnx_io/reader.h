// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Reads ONNX files, ours and those of other exporters, into graphs. What the file says is checked
// before it is used; weights stay in their files. Who needs types of inner values runs the shape
// inference of lib/ops afterwards: value_info of files is ignored, as exporters guess it.
#pragma once

#include <filesystem>
#include <string>

#include "lib/ir/graph.h"

namespace qeff::onnx_io {

struct ReadOptions {
  enum class WeightSpec {
    kJoin,   ///< weight_spec.json beside the model turns graph inputs back into constants
    kIgnore  ///< weights of a model written by reference stay graph inputs
  };
  WeightSpec weight_spec = WeightSpec::kJoin;
};

/// Returns the model in `path`: an .onnx file, or a folder that holds exactly one.
/// - Constant nodes and initializers become constants (also those that are inputs as well).
/// - ai.onnx opsets 11 to 21 are accepted; nodes come back in the form of opset 17.
/// - Functions that lib/ops knows as ops (CtxScatter, ...) lose their bodies. Other functions are
///   kept in Model::functions.
/// - Outputs keep the shape that the file declares (GraphOutput::declared_shape).
/// Errors: kIo (cannot be opened); kInvalidInput (not ONNX, damaged, not a graph, data that does
/// not fit, external data outside of the model's folder); kUnsupported (control flow, sparse
/// tensors, sequences, strings, another opset, 2 GiB and more).
Result<ir::Model> ReadOnnx(const std::filesystem::path& path, const ReadOptions& options = {});

}  // namespace qeff::onnx_io
