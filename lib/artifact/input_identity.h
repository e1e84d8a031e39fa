// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What identifies an input file without reading gigabytes: enough to notice that a checkpoint was
// changed, cheap enough to ask on every run.
#pragma once

#include <filesystem>
#include <string_view>

#include "lib/artifact/manifest.h"

namespace qeff::artifact {

/// kQuick takes the cheapest of: the SHA-256 that a hub cache gives its blobs as names (seen
/// through the symbolic link); the SHA-256 of a file of up to 16 MiB; else size and a SHA-256 of
/// the header and of 64 pages spread over the file ("sampled"). kWhole hashes all bytes.
enum class IdentityDepth { kQuick, kWhole };

/// Returns the entry for the file at `path`; `role` says what it is to the stage, e.g. "config",
/// "weights". Errors: kIo.
Result<InputEntry> IdentifyInput(std::string_view role, const std::filesystem::path& path,
                                 IdentityDepth depth = IdentityDepth::kQuick);

}  // namespace qeff::artifact
