// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Files that become visible when they are whole: for writers whose content is not one string
// (WriteFileAtomically of file.h takes that, and does the same), and for long work that must know
// before it begins whether its result can be written. Folders are lib/artifact's.
#pragma once

#include <filesystem>
#include <functional>

#include "lib/support/file.h"
#include "lib/support/status.h"

namespace qeff {

/// Writes what `write` appends to a temporary sibling of `path`, then renames it over `path`.
/// Errors: kIo (full disk included), in the name of `path`; those of `write`. The old file is then
/// untouched.
Status WriteFileAtomically(const std::filesystem::path& path,
                           const std::function<Status(FileWriter&)>& write);

/// Fails before the work where WriteFileAtomically would fail after it, because `path` is a folder
/// or no file can be made beside it. Leaves everything as it is. Errors: kIo.
Status CheckWritable(const std::filesystem::path& path);

}  // namespace qeff
