// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// One call of a program on tensors as they are: what a model computes, without tokenizer, sampling
// or pooling around it. For tests, and for hosts that bring their own.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "backends/backend.h"
#include "lib/generation/session.h"
#include "lib/support/status.h"

namespace qeff::stages {

/// A tensor of an input or an output: row-major, little-endian.
struct NamedTensor {
  TensorInfo info;
  std::vector<std::byte> data;
};

/// Runs the first specialization whose inputs have the names, types and shapes of `inputs`, and
/// returns its outputs. Retained state is what it was. Errors: kUsage if no specialization fits,
/// with the shapes that would; those of Session::Run.
Result<std::vector<NamedTensor>> RunTensors(Session& session,
                                            const std::vector<NamedTensor>& inputs);

/// The same for a QPC folder, from and to safetensors files.
Status RunTensors(const std::filesystem::path& qpc, const BackendOpenOptions& options,
                  const std::filesystem::path& inputs, const std::filesystem::path& outputs);

}  // namespace qeff::stages
