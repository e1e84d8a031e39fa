// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The fetch stage with a network: what qeff-fetch does beyond looking into the cache. A library of
// its own, because whatever links it can open sockets; nothing but qeff-fetch does.
#pragma once

#include <filesystem>
#include <string>

#include "lib/hub/select.h"
#include "lib/support/status.h"
#include "stages/stages.h"

namespace qeff::stages {

/// Twice the cores, 4 to 8: more hide the latency of a network, and on a fast one more than the
/// cores can copy and hash for cost time (2 cores, loopback: 8 transfers give 10 to 15 % less than
/// 4).
int DefaultConnections();

struct HubFetchOptions {
  FetchOptions fetch;
  hub::Selection selection;
  std::filesystem::path local_dir;  ///< not empty: files go there instead of into the cache
  int connections = DefaultConnections();
  int attempts = 15;
  bool show_progress = true;
};

/// As Fetch, but gets what is missing from the hub first. With patterns or `all` in the selection
/// the result is what was chosen, and need not be a checkpoint that can be used.
Result<std::filesystem::path> FetchFromHub(const std::string& model,
                                           const HubFetchOptions& options);

/// Returns a table of what FetchFromHub would fetch, a file a line, with sizes and a total.
Result<std::string> DryRun(const std::string& model, const HubFetchOptions& options);

/// Returns a table of the models in the Hugging Face cache, a snapshot a line.
std::string CacheTable();

}  // namespace qeff::stages
