// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// From a model and options to what the card's compiler is given: its command line and the files
// beside it, as QEfficient writes them. Runs nothing.
#pragma once

#include "backends/aic100/sdk.h"
#include "backends/backend.h"

namespace qeff::aic100 {

/// Where the compiler writes, inside the artifact; it must not exist when the compiler starts.
inline constexpr std::string_view kBinaryFolder = "qpc";

/// Inputs and outputs with a precision of their own at the edge of the program, in QEfficient's
/// order: retained state in graph order, each input before its output (with adapters all inputs,
/// then all outputs); before it the features that speech models hear; of an encoder of images what
/// it sees and all that it makes. `mxint8` is for caches alone.
std::vector<artifact::CustomIo> ListCustomIo(const ir::Graph& graph, bool mxint8);

/// Returns qconfig.json of the program in `folder`; `qnn_config` are the user's settings of the QNN
/// path, null without it. Requires program.config.
std::string DescribeProgram(const OnnxProgram& program, const BackendCompileOptions& options,
                            const std::filesystem::path& folder, const Json& qnn_config);

/// `folder` is where the compiler will find its files and write; `shown_folder` is what the files
/// that explain the program name instead. Errors: kUsage (options that exclude each other), kIo and
/// kInvalidInput (the user's partition file).
Result<OnnxCompilePlan> PlanCompile(const OnnxProgram& program,
                                    const BackendCompileOptions& options, const Compiler& compiler,
                                    const std::filesystem::path& folder,
                                    const std::filesystem::path& shown_folder);

}  // namespace qeff::aic100
