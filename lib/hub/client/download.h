// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Brings a model from a hub into the Hugging Face cache, or into a folder of the user's: asks what
// there is, chooses, makes sure there is room, transfers, verifies, publishes. Called by qeff-fetch
// only: whatever links this can open sockets.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "lib/hub/cache.h"
#include "lib/hub/client/settings.h"
#include "lib/hub/file_list.h"
#include "lib/hub/repo_id.h"
#include "lib/hub/select.h"
#include "lib/support/status.h"

namespace qeff::hub {

struct DownloadRequest {
  RepoId repo;
  Selection selection;
  std::filesystem::path cache_folder;
  std::filesystem::path local_dir;  ///< not empty: there instead of into the cache
  int connections = 8;
  int attempts = 15;  ///< without a new byte, for each file, before giving up
};

struct PlannedFile {
  RepoFile file;
  int64_t missing_bytes = 0;  ///< 0: it is there already
};

/// What a download would do.
struct DownloadPlan {
  std::string commit;
  std::vector<RepoFile> listing;   ///< all files of the commit
  std::vector<PlannedFile> files;  ///< those chosen
};

/// Asks the hub; writes nothing. A commit whose listing the cache keeps is not asked about. Errors:
/// kIo (network, not found, not allowed), those of SelectFiles and AskFiles.
Result<DownloadPlan> PlanDownload(const HubSettings& settings, const DownloadRequest& request);

/// Returns the snapshot, whole as far as it was chosen. Without a hub (HF_HUB_OFFLINE, or no
/// answer) that which the cache has, with a warning, if that is complete. Errors: as PlanDownload;
/// kIo (no room on the disk, connection lost for too long, a content that is not what is listed);
/// what was received is then kept for the next time.
Result<Snapshot> Download(const HubSettings& settings, const DownloadRequest& request);

}  // namespace qeff::hub
