// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What people type for a model, in all its forms: a folder, a file: URI, an id, an hf:// URI, or
// the address of a repository on a hub or mirror. Only text and whether a folder exists.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "lib/hub/repo_id.h"
#include "lib/support/status.h"

namespace qeff::hub {

struct ModelSource {
  std::filesystem::path folder;  ///< not empty: a plain folder, and nothing else is set
  RepoId repo;
  std::string subfolder;  ///< of an hf:// URI; "" for the whole repository
  std::string endpoint;   ///< of an http(s):// URL, without '/' at its end; "" for the usual hub
};

/// Parses
///   ./folder, /folder, ~/folder, or any name of a folder that exists
///   file:folder, file:///folder
///   org/name[@revision]
///   hf://[models/]org/name[@revision][/subfolder]     ("%2F" for slashes within a revision)
///   http(s)://host[/path]/org/name[@revision], and .../org/name/tree/revision
/// Errors: kUsage (none of these, or a dataset or space); kIo for what can only be a folder and
/// does not exist.
Result<ModelSource> ParseModelSource(std::string_view typed);

}  // namespace qeff::hub
