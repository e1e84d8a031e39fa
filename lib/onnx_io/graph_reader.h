// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Turns the nodes of a GraphProto or FunctionProto into a graph. Internal to lib/onnx_io.
#pragma once

#include <map>
#include <set>
#include <string>

#include "lib/onnx_io/tensor_reader.h"

namespace qeff::onnx_io {

/// Versions by canonical domain, from one opset_import list.
using OpsetVersions = std::map<std::string, int64_t, std::less<>>;

/// Errors: kUnsupported for a version of ai.onnx outside of 11..21; kInvalidInput for a domain that
/// is imported twice.
Result<OpsetVersions> ReadOpsets(
    const google::protobuf::RepeatedPtrField<onnx::OperatorSetIdProto>& imports,
    const Location& where);

/// Weights that stand in for graph inputs, by input name (weight_spec.json).
using JoinedWeights = std::map<std::string, ir::WeightPtr, std::less<>>;

/// Reads the main graph. Errors: kInvalidInput for anything that is not a graph in single
/// assignment form and in order of computation; kUnsupported for control flow, sparse tensors and
/// the like.
Result<ir::Graph> ReadGraph(const ScannedModel& scanned, const OpsetVersions& opsets,
                            const JoinedWeights& joined, TensorReader* tensors);

/// Reads a function of the model. Errors as ReadGraph.
Result<ir::Function> ReadFunction(const onnx::FunctionProto& proto, TensorReader* tensors);

}  // namespace qeff::onnx_io
