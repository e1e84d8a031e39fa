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

/// State tensors of the graph with the precision that they have at the edge of the program, each
/// input before its output, in graph order.
std::vector<artifact::CustomIo> ListStateIo(const ir::Graph& graph, bool mxint8);

/// `folder` is where the compiler will find its files and write; `shown_folder` is what the files
/// that explain the program name instead. Errors: kUsage (options that exclude each other), kIo and
/// kInvalidInput (the user's partition file).
Result<OnnxCompilePlan> PlanCompile(const OnnxProgram& program,
                                    const BackendCompileOptions& options, const Compiler& compiler,
                                    const std::filesystem::path& folder,
                                    const std::filesystem::path& shown_folder);

}  // namespace qeff::aic100
