// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "tools/fetch/prune.h"

#include <unistd.h>

#include <cstdio>

#include "lib/hub/cache.h"
#include "lib/hub/inventory.h"
#include "tools/common/run_tool.h"

namespace qeff::tools {

Status Prune(Consent consent) {
  const std::filesystem::path cache = hub::CacheFolderFromEnvironment();
  const std::vector<hub::UnusedFile> unused = hub::FindUnused(cache);
  int64_t total_bytes = 0;
  for (const hub::UnusedFile& file : unused) {
    PrintResult(fmt::format("{:>15}  {:<8}  {}", file.size_bytes,
                            file.is_part ? "part" : "unlinked", file.path.string()));
    total_bytes += file.size_bytes;
  }
  PrintResult(fmt::format("{:>15}            in {} files that no snapshot needs", total_bytes,
                          unused.size()));
  if (unused.empty()) return Status::Ok();
  if (consent == Consent::kAsk) {
    if (::isatty(STDIN_FILENO) != 1) {
      return UsageError(Location::Flag("--prune"), "nobody is there to answer, nothing was removed",
                        {"remove them with --prune --yes"});
    }
    std::fputs("remove them? [y/N] ", stderr);
    const int answer = std::getchar();
    if (answer != 'y' && answer != 'Y') return Status::Ok();
  }
  QEFF_ASSIGN_OR_RETURN(const int64_t removed_bytes, hub::RemoveUnused(cache, unused));
  PrintResult(fmt::format("{:>15}            removed", removed_bytes));
  return Status::Ok();
}

}  // namespace qeff::tools
