// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Runs the card's compiler: its output goes to a log file as it comes, its end becomes a Status
// that says what went wrong and what to do.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "lib/support/status.h"

namespace qeff::aic100 {

/// Runs `command` and waits for it; `log` receives everything that it prints and is replaced if it
/// exists; how far it is is said every `report_interval`, above 0. Errors: kIo (the log cannot be
/// written, the disk or the host's memory is full); kUnsupported (the compiler says that it cannot
/// compile the model); kBackend (it cannot be started, was killed, or failed with a message that is
/// not known). Notes name the log and the last line in it.
Status RunCompiler(const std::vector<std::string>& command, const std::filesystem::path& log,
                   std::chrono::seconds report_interval = std::chrono::seconds(30));

}  // namespace qeff::aic100
