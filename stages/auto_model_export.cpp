// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "stages/auto_model_export.h"

namespace qeff::stages {

Result<std::filesystem::path> ExportFor(const std::filesystem::path& checkpoint,
                                        const ExportSettings& settings,
                                        const TransformOptions& transform) {
  const auto dtype = DTypeFromName(settings.dtype);
  if (dtype != DType::kF32 && dtype != DType::kF16 && dtype != DType::kBf16) {
    return UsageError({}, fmt::format("expected dtype f32, f16 or bf16, got '{}'", settings.dtype));
  }
  return Export(checkpoint, settings.output,
                {.dtype = *dtype,
                 .subfunctions = settings.use_onnx_subfunctions,
                 .weights = settings.reference_weights ? WeightPlacement::kReference
                                                       : WeightPlacement::kExternal,
                 .transform = transform});
}

}  // namespace qeff::stages
