// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What lies in a Hugging Face cache, and what of it nothing refers to any more.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "lib/support/status.h"

namespace qeff::hub {

/// One snapshot of a model.
struct CachedSnapshot {
  std::string repo;               ///< "org/name"
  std::string commit;             ///< 40 hex digits
  std::vector<std::string> refs;  ///< what stands for it, e.g. "main"; sorted
  int64_t file_count = 0;
  int64_t size_bytes = 0;  ///< of the files, those shared with other snapshots included
  bool is_complete = false;
};

/// Returns the models in the cache, sorted by repository, then commit. Empty if there is no cache.
std::vector<CachedSnapshot> ListCache(const std::filesystem::path& cache_folder);

/// A file that no snapshot needs.
struct UnusedFile {
  std::filesystem::path path;
  std::string repo;
  int64_t size_bytes = 0;
  bool is_part = false;  ///< of a download that did not end
};

/// Returns the blobs that no snapshot links to, and part files that no process is known to write;
/// sorted by path. What another process works on (it holds the file's lock) is left out.
std::vector<UnusedFile> FindUnused(const std::filesystem::path& cache_folder);

/// Removes files found by FindUnused; one that is used or locked by now stays. Returns the bytes
/// that were removed. Errors: kIo.
Result<int64_t> RemoveUnused(const std::filesystem::path& cache_folder,
                             const std::vector<UnusedFile>& files);

}  // namespace qeff::hub
