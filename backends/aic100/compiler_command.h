// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The command line of the card's compiler, token for token in the order of QEfficient.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "backends/aic100/sdk.h"
#include "lib/support/status.h"

namespace qeff::aic100 {

/// What one call of the compiler says. Paths are written as they are.
struct CompilerCall {
  Compiler compiler;
  std::string hardware_version;  ///< "ai100", "ai200"
  std::filesystem::path onnx;
  std::filesystem::path partition_file;  ///< the user's, or that of a pipeline; empty: none
  bool retained_state = false;           ///< the graph has state that stays on the card
  bool mxfp6_matmul = false;
  int num_cores = 16;
  /// Further options as the compiler spells them ("-mos=2"), in the user's order.
  std::vector<std::string> further;
  bool sub_functions = false;          ///< the model has functions of layers
  std::filesystem::path slicing_file;  ///< mdp_ts_N.json; empty: one device
  std::filesystem::path specializations_file;
  std::filesystem::path custom_io_file;  ///< empty: none
  std::filesystem::path binary_folder;   ///< must not exist yet
};

/// Returns the arguments, the program first.
std::vector<std::string> ComposeCommand(const CompilerCall& call);

/// Checks an option that the user passes on with --compiler-arg: it must start with one dash, and
/// must not be one that qeff-compile sets itself. Returns what to pass on, nothing for
/// -compile-only (dropped, as QEfficient does). Errors: kUsage with the option to use.
Result<std::optional<std::string>> CheckCompilerArgument(const std::string& argument);

}  // namespace qeff::aic100
