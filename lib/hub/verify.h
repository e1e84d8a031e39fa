// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Checks file contents against the hashes by which a Hugging Face cache names them. Reads every
// byte, so only when asked for.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/hub/cache.h"
#include "lib/support/status.h"

namespace qeff::hub {

/// What was checked; paths relative to the folder, sorted.
struct VerifyReport {
  std::vector<std::string> verified;
  std::vector<std::string> unknown;  ///< no hash is known
  int64_t verified_bytes = 0;
};

/// Hashes each file in and below the snapshot's folder whose hash is written down somewhere: in the
/// name of the blob that it links to, in the listing of the commit, or in the notes that a download
/// to a user's folder leaves (.cache/huggingface, which is not looked at itself). 64 hex digits are
/// a SHA-256 of the content (large files), 40 are git's SHA-1 of a blob. Shows progress on a
/// terminal. Errors: kIo (unreadable, link to nothing); kInvalidInput (other content than the hash
/// says).
Result<VerifyReport> VerifyHashes(const Snapshot& snapshot);

}  // namespace qeff::hub
