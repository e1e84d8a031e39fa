// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// weight_spec.json: the recipes of weights that a model names as graph inputs and leaves in the
// checkpoint. It holds no weight bytes, only which bytes of which file and what is done to them;
// each file is named with its size and a hash of its head, so that a changed checkpoint is noticed.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "lib/ir/weight.h"

namespace qeff::onnx_io {

inline constexpr std::string_view kWeightSpecFileName = "weight_spec.json";

/// In the order of the graph's inputs.
using NamedWeights = std::vector<std::pair<std::string, ir::WeightPtr>>;

/// Returns the SHA-256 of the first `head_bytes` of a source: how weight_spec.json knows it again.
/// Requires head_bytes <= the file's size.
std::string HashHead(const MappedFile& file, size_t head_bytes);

/// Returns the content of weight_spec.json. Paths are absolute. Errors: kUnsupported for a recipe
/// with a number that JSON lacks (infinity, NaN).
Result<std::string> DumpWeightSpec(const NamedWeights& weights);

/// Returns the weights of a file made by DumpWeightSpec, over newly mapped sources. Errors:
/// kInvalidInput (not such a file, a recipe that does not fit together, a source that has changed
/// since); kVersionMismatch (made by a later format); kIo (a source is missing).
Result<NamedWeights> ReadWeightSpec(const std::filesystem::path& path);

}  // namespace qeff::onnx_io
