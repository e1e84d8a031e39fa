// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Finds the checkpoint folder that a user means: a folder, or an id whose snapshot lies in the
// Hugging Face cache. Called by qeff-fetch and by every program that takes a model. Nothing here
// opens a socket.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/hub/file_list.h"
#include "lib/hub/repo_id.h"
#include "lib/support/status.h"

namespace qeff::hub {

/// A folder with a checkpoint, and how it was found.
struct Snapshot {
  std::filesystem::path folder;
  std::string repo;                ///< "org/name"; empty for a plain folder
  std::string commit;              ///< of the snapshot; empty for a plain folder
  std::string subfolder;           ///< the part of `folder` below the snapshot; mostly empty
  std::vector<std::string> notes;  ///< for the user, e.g. which snapshot was taken without a ref
};

/// Returns the folder of the Hugging Face libraries for everything, HF_HOME, with the token file in
/// it. Empty if there is not even HOME.
std::filesystem::path HomeFolderFromEnvironment();

/// Returns the cache that the Hugging Face libraries use, from the environment as they read it:
/// HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME/hub, XDG_CACHE_HOME/huggingface/hub,
/// ~/.cache/huggingface/hub. It need not exist. Empty if there is not even HOME.
std::filesystem::path CacheFolderFromEnvironment();

/// Returns the snapshot for what a user typed, in any form of ParseModelSource. A folder that
/// exists wins over an id of the same spelling. An id is looked up in `cache_folder`, laid out as
/// models--org--name/{refs,snapshots,blobs}: a branch or tag through refs, or a commit, also
/// shortened if only one snapshot begins so. Without refs/main the only snapshot is taken, with a
/// note. Errors: kUsage (neither folder nor id); kIo (not there; the notes say where it was looked
/// for, what is there, and how to get it); kInvalidInput (a damaged ref). Does not check
/// completeness.
Result<Snapshot> Resolve(std::string_view typed, const std::filesystem::path& cache_folder);

/// As Resolve, for an id that is already parsed.
Result<Snapshot> ResolveInCache(const RepoId& repo, const std::filesystem::path& cache_folder);

/// Returns the files of the snapshot's commit, paths relative to its folder, if the cache keeps the
/// listing (trees/<commit>.json) and it can be read.
std::optional<std::vector<RepoFile>> ListedFiles(const Snapshot& snapshot);

/// Checks that nothing of the checkpoint is missing: no link leads nowhere, config.json and weights
/// are there, and every file that model.safetensors.index.json names; in a cache also the sizes
/// that the tree listing of the commit gives, if there is one. A folder of GGUF files
/// needs no config.json, but all parts. Errors: kIo, listing what is missing; kInvalidInput for an
/// index that cannot be read, or no GGUF file behind the name; kUnsupported for another version of
/// GGUF.
Status CheckComplete(const Snapshot& snapshot);

}  // namespace qeff::hub
