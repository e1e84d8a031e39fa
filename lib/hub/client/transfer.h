// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Moves the contents of files from a hub to part files, several at a time and large ones in
// several ranges, and goes on after whatever a bad network does. A file is handed over only with
// the hash that the listing gives.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "lib/hub/client/settings.h"
#include "lib/hub/client/transfer_progress.h"
#include "lib/hub/file_list.h"
#include "lib/hub/folder_handle.h"
#include "lib/hub/part_file.h"
#include "lib/hub/repo_id.h"
#include "lib/support/status.h"

namespace qeff::hub {

/// One content to get.
struct TransferJob {
  RepoFile file;
  std::string url;
  PartFile part;
  FileLock lock;  ///< held as long as the job lives
};

/// What there is to do: a job, or none now (another process may be at it), or none any more.
struct NextJob {
  enum class Kind { kJob, kLater, kNone };
  Kind kind = Kind::kNone;
  std::optional<TransferJob> job;
};

struct TransferPlan {
  RepoId repo;
  std::string commit;
  int connections = 8;
  int attempts = 15;  ///< without a new byte, for each file
  std::function<Result<NextJob>()> next;
  /// Called with a part that is whole, has the right hash and is on the disk.
  std::function<Status(TransferJob&)> publish;
};

/// Runs the plan to its end. Part files of jobs that are not done stay for a later run, except
/// those whose content is wrong. Errors: kIo (network, disk, or a content that is not what was
/// listed), and those of `next` and `publish`.
Status Transfer(const HubSettings& settings, const TransferPlan& plan, TransferProgress& progress);

}  // namespace qeff::hub
