// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Which files of a repository are fetched. Only names and sizes are looked at.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lib/hub/file_list.h"

namespace qeff::hub {

struct Selection {
  std::vector<std::string> include;  ///< patterns; not empty: these instead of the default choice
  std::vector<std::string> exclude;  ///< patterns; taken away last
  bool all = false;                  ///< everything instead of the default choice
  std::string subfolder;             ///< only what lies below; "" for the whole repository
};

/// True if the whole of `path` matches `pattern` as huggingface_hub matches it: '*' and '?' stand
/// for slashes, too, [..] for one of some characters, and "folder/" for everything below it.
bool MatchesPattern(const std::string& path, std::string pattern);

/// Returns what to fetch of `files`, in their order. By default what running a model needs, once:
/// configs, tokenizer, chat templates, and weights as safetensors (model.safetensors, else its
/// shards, else whatever safetensors there are), else one GGUF file with its parts; nothing in
/// subfolders besides pooling configs and additional templates. `repo` names the repository in
/// messages. Errors: kUsage (no file matches the patterns or lies in the subfolder, or several GGUF
/// files to choose from); kUnsupported (weights only in formats that are never read, such as
/// PyTorch pickles).
Result<std::vector<RepoFile>> SelectFiles(const std::vector<RepoFile>& files,
                                          const Selection& selection, std::string_view repo);

}  // namespace qeff::hub
