// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The two questions that are asked of a hub before anything is fetched: which commit does a
// revision stand for, and which files does it have.
#pragma once

#include <string>
#include <vector>

#include "lib/hub/client/settings.h"
#include "lib/hub/file_list.h"
#include "lib/hub/repo_id.h"
#include "lib/support/status.h"

namespace qeff::hub {

/// Returns the commit (40 hex digits) that `repo.revision` stands for now. `no_contact`, if it is
/// not null, says after an error whether the hub could not be reached or is not well, so that a
/// cached copy may do. Errors: kIo.
Result<std::string> AskCommit(const HubSettings& settings, const RepoId& repo, int attempts,
                              bool* no_contact = nullptr);

/// Returns all files of the commit, sorted by path, page by page. `no_contact` as above. Errors:
/// kIo; kInvalidInput for a listing that is no listing, or one with a name that leads out of a
/// folder.
Result<std::vector<RepoFile>> AskFiles(const HubSettings& settings, const RepoId& repo,
                                       const std::string& commit, int attempts,
                                       bool* no_contact = nullptr);

/// Returns the address of a file's content.
std::string FileUrl(const HubSettings& settings, const RepoId& repo, const std::string& commit,
                    const std::string& path);

}  // namespace qeff::hub
