// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What a program takes of this machine's memory, before it is compiled.
#pragma once

#include <filesystem>

#include "stages/stages.h"

namespace qeff::stages {

/// What a session of the program that Compile would make takes, as a table and as JSON. Nothing is
/// written. Errors: those of Compile; kUnsupported for a backend other than cpu.
Result<CardPlan> PlanMemory(const std::filesystem::path& onnx, const CompileOptions& options);

}  // namespace qeff::stages
