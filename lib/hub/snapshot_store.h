// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Where fetched files go: a snapshot of a Hugging Face cache, with links into blobs/ or, on file
// systems without links, with the files themselves; or a folder of the user's (--local-dir), with
// notes in .cache/huggingface as huggingface_hub keeps them. Knows nothing of networks.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "lib/hub/file_list.h"
#include "lib/hub/folder_handle.h"
#include "lib/hub/part_file.h"
#include "lib/hub/repo_id.h"
#include "lib/support/status.h"

namespace qeff::hub {

struct StorePlace {
  std::filesystem::path cache_folder;  ///< of the user, e.g. ~/.cache/huggingface/hub
  std::filesystem::path local_dir;     ///< not empty: files go there instead of a snapshot
  bool use_links = true;               ///< off: HF_HUB_DISABLE_SYMLINKS
};

class SnapshotStore {
 public:
  /// Makes the folders that are missing. Errors: kIo.
  static Result<SnapshotStore> Open(const StorePlace& place, const RepoId& repo,
                                    const std::string& commit);

  /// What a store at `place` would have to get of `file`, without writing anything: 0 if it is
  /// there or only needs a link or a copy; less than its size if a part can be kept.
  static int64_t MissingBytes(const StorePlace& place, const RepoId& repo,
                              const std::string& commit, const RepoFile& file);

  /// The snapshot, or the user's folder.
  const std::filesystem::path& folder() const { return folder_.path(); }
  /// Where part files lie: on the same file system as the result.
  const std::filesystem::path& part_folder() const { return parts_.path(); }
  /// The lock that huggingface_hub takes for this file.
  std::filesystem::path LockPath(const RepoFile& file) const;

  /// True if the file is there, after linking it if only its blob was there, or copying it from the
  /// cache to the user's folder. A file of the user's folder without notes is hashed; `advance` is
  /// then called with the bytes of each piece. Errors: kIo.
  Result<bool> Provide(const RepoFile& file, const std::function<void(int64_t)>& advance = {});
  /// Makes a whole, verified and synced part the file. Errors: kIo.
  Status Publish(PartFile& part, const RepoFile& file);

  /// Keeps the listing of the commit for other programs (trees/), and the well-known names that it
  /// lacks (.no_exist/), so that they need not ask the hub. Errors: kIo.
  Status KeepList(const std::vector<RepoFile>& files);
  /// Lets the revision stand for the commit from now on. Errors: kIo.
  Status SetRef();

 private:
  SnapshotStore(const StorePlace& place, const RepoId& repo, std::string commit,
                FolderHandle repo_folder, FolderHandle folder, FolderHandle parts);
  Status LinkToBlob(const RepoFile& file);
  Status WriteLocalNotes(const RepoFile& file);

  StorePlace place_;
  RepoId repo_;
  std::string commit_;
  FolderHandle repo_folder_;  // models--org--name, or <local dir>/.cache/huggingface
  FolderHandle folder_;
  FolderHandle parts_;
};

}  // namespace qeff::hub
