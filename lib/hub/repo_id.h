// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Model ids as people type them: "org/name", "org/name@revision", "hf://org/name@revision". Only
// text; nothing is looked up.
#pragma once

#include <string>
#include <string_view>

#include "lib/support/status.h"

namespace qeff::hub {

struct RepoId {
  std::string name;      ///< "org/name", or "name" for the hub's oldest models
  std::string revision;  ///< branch, tag, "refs/pr/1", or a commit; "main" if none was typed

  /// The name of the repository's folder in a Hugging Face cache: "models--org--name".
  std::string CacheFolderName() const;
};

/// Parses an id by the hub's rules: letters, digits, '-', '_' and '.', at most 96 in all, no "--"
/// or
/// "..". Errors: kUsage.
Result<RepoId> ParseRepoId(std::string_view text);

}  // namespace qeff::hub
