// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The other way to a card's program: the QNN SDK's converter makes a DLC of the ONNX file, its
// context binary generator makes the program of that. What both are given, as QEfficient gives it
// to them with enable_qnn. Runs nothing.
#pragma once

#include "backends/backend.h"

namespace qeff::aic100 {

/// What the converter writes and the generator reads, inside the artifact.
inline constexpr std::string_view kDlcName = "model.dlc";

/// The user's settings: the file of --enable-qnn, with QEfficient's keys.
struct QnnConfig {
  std::vector<std::string> converter_arguments;  ///< "converter_args_extension", split at spaces
  std::vector<std::string>
      generator_arguments;        ///< "context_binary_generator_args_extension", likewise
  Json backend = Json::object();  ///< "qnn_compilation_backend": replaces values of ours
  bool skip_converter = false;    ///< "SKIP_QNN_CONVERTER_STEP": model.dlc is there already
  Json given = nullptr;           ///< the whole file
};

/// Reads it. Errors: kIo; kInvalidInput (another key, a value of another type, an argument that is
/// set already), naming the key.
Result<QnnConfig> ReadQnnConfig(const std::filesystem::path& path);

/// `folder` is where the programs will read and write; `shown_folder` is what qconfig.json names
/// instead. Errors: kUsage (no SDK named, more than two specializations); kInvalidInput (an input
/// with a symbol without number); those of ReadQnnConfig.
Result<OnnxCompilePlan> PlanQnnCompile(const OnnxProgram& program,
                                       const BackendCompileOptions& options,
                                       const std::filesystem::path& folder,
                                       const std::filesystem::path& shown_folder);

}  // namespace qeff::aic100
