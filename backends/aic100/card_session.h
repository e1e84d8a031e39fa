// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// A program on a card as a Session. The card is reached through libqeff_aic_session.so
// (session_abi.h); everything else is read from the QPC folder.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "lib/generation/session.h"

namespace qeff::aic100 {

struct CardOpenOptions {
  std::vector<int> devices;      ///< ids, at least one
  std::filesystem::path plugin;  ///< empty: where the installation has it
};

/// Opens the program in `folder` (specializations.json, qpc/programqpc.bin). Retained state stays
/// on the card: its inputs and outputs are skipped in every call. Errors: kIo, kInvalidInput (a
/// damaged folder, specializations that are not those of the program); kVersionMismatch (a plugin
/// of another version); kBackend (no plugin, no device, no memory on it), with what to do.
Result<std::unique_ptr<Session>> OpenCardSession(const std::filesystem::path& folder,
                                                 const CardOpenOptions& options);

/// Loads the session's library and returns the version of the vendor's headers that it was built
/// with. `plugin` as in CardOpenOptions. Errors: kBackend, kVersionMismatch.
Result<std::string> CheckPlugin(const std::filesystem::path& plugin);

/// Says why no card can be used, as far as that can be seen without the vendor's software: no PCI
/// device, no driver, or no permission; nothing if all is there.
std::vector<std::string> DiagnoseCard(const std::filesystem::path& system_root = "/");

}  // namespace qeff::aic100
