// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Where artifacts are kept when the user names no folder, and the key that finds one again. Used by
// qeff-infer and by every stage whose output path was not given.
#pragma once

#include <filesystem>
#include <string>

#include "lib/artifact/manifest.h"

namespace qeff::artifact {

/// Returns the first 16 hex digits of the SHA-256 over format, tool, tool version, options, inputs
/// and parents of `manifest` (its files and modules follow from these). QEfficient names its
/// folders with as many digits.
std::string CacheKey(const Manifest& manifest);

/// Returns $QEFF_HOME as it is; else $XDG_CACHE_HOME/qeff_models; else ~/.cache/qeff_models: the
/// root that QEfficient uses. A variable that is set to nothing counts as absent. Errors: kIo if
/// the user has no home folder.
Result<std::filesystem::path> DefaultCacheRoot();

}  // namespace qeff::artifact
