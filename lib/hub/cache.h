// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Finds the checkpoint folder that a user means: a folder, or an id whose snapshot lies in the
// Hugging Face cache. Called by qeff-fetch and by every program that takes a model. Nothing here
// opens a socket.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "lib/support/status.h"

namespace qeff::hub {

/// A folder with a checkpoint, and how it was found.
struct Snapshot {
  std::filesystem::path folder;
  std::string repo;                ///< "org/name"; empty for a plain folder
  std::string commit;              ///< of the snapshot; empty for a plain folder
  std::vector<std::string> notes;  ///< for the user, e.g. which snapshot was taken without a ref
};

/// Returns the folder that the Hugging Face libraries use, from the environment as they read it:
/// HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME/hub, XDG_CACHE_HOME/huggingface/hub,
/// ~/.cache/huggingface/hub. It need not exist. Empty if there is not even HOME.
std::filesystem::path CacheFolderFromEnvironment();

/// Returns the snapshot for what a user typed. A folder that exists wins over an id of the same
/// spelling. An id is looked up in `cache_folder`, laid out as
/// models--org--name/{refs,snapshots,blobs}: a branch or tag through refs, or a commit, also
/// shortened if only one snapshot begins so. Without refs/main the only snapshot is taken, with a
/// note. Errors: kUsage (neither folder nor id); kIo (not there; the notes say where it was looked
/// for, what is there, and how to get it); kInvalidInput (a damaged ref). Does not check
/// completeness.
Result<Snapshot> Resolve(std::string_view typed, const std::filesystem::path& cache_folder);

/// Checks that nothing of the checkpoint is missing: no link leads nowhere, config.json and weights
/// are there, and every file that model.safetensors.index.json names; in a cache also the sizes
/// that the tree listing of the commit gives, if there is one. Errors: kIo, listing what is
/// missing; kInvalidInput for an index that cannot be read.
Status CheckComplete(const Snapshot& snapshot);

}  // namespace qeff::hub
