// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The export stage as the classes of qeff/auto_model.h call it.
#pragma once

#include <filesystem>

#include "qeff/auto_model.h"
#include "stages/stages.h"

namespace qeff::stages {

/// Errors: kUsage for a dtype that does not exist; those of Export.
Result<std::filesystem::path> ExportFor(const std::filesystem::path& checkpoint,
                                        const ExportSettings& settings,
                                        const TransformOptions& transform);

}  // namespace qeff::stages
