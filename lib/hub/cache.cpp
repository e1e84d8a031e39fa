// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/hub/cache.h"

#include <algorithm>
#include <cstdlib>
#include <optional>

#include "lib/hub/model_source.h"
#include "lib/support/file.h"

namespace qeff::hub {
namespace {

namespace fs = std::filesystem;

constexpr size_t kCommitDigits = 40;
constexpr size_t kShortestCommit = 4;  // as git
constexpr size_t kMaxRefBytes = 1024;
constexpr std::string_view kFolderPrefix = "models--";

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// Replaces a leading "~" as Python's expanduser does for the user's own home.
fs::path ExpandHome(const std::string& path) {
  if (path != "~" && !path.starts_with("~/")) return path;
  return Environment("HOME") + path.substr(1);
}

bool IsFolder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

/// Sorted names of the folders in `folder`; none if it cannot be read.
std::vector<std::string> FoldersIn(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  fs::directory_iterator iterator(folder, error);
  for (; !error && iterator != fs::directory_iterator(); iterator.increment(error)) {
    if (IsFolder(iterator->path())) names.push_back(iterator->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool IsHex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == text.npos;
}

/// Names of the models in a cache.
std::vector<std::string> CachedModels(const fs::path& cache_folder) {
  std::vector<std::string> models;
  for (const std::string& folder : FoldersIn(cache_folder)) {
    if (!folder.starts_with(kFolderPrefix)) continue;
    const std::string_view rest = std::string_view(folder).substr(kFolderPrefix.size());
    const size_t separator = rest.find("--");
    models.push_back(separator == rest.npos ? std::string(rest)
                                            : fmt::format("{}/{}", rest.substr(0, separator),
                                                          rest.substr(separator + 2)));
  }
  return models;
}

std::string HowToGet(const RepoId& repo) {
  const std::string revision = repo.revision == "main" ? "" : "@" + repo.revision;
  return fmt::format(
      "get it with 'qeff-fetch {}{}' where there is a network, or give a folder that holds the "
      "checkpoint",
      repo.name, revision);
}

Status NotInCache(const RepoId& repo, const fs::path& cache_folder) {
  std::vector<std::string> notes;
  const std::vector<std::string> models = CachedModels(cache_folder);
  if (const auto nearest = Nearest(repo.name, models)) {
    notes.push_back(fmt::format("did you mean '{}'?", *nearest));
  } else if (!models.empty()) {
    constexpr size_t kShown = 10;
    const size_t shown = std::min(models.size(), kShown);
    notes.push_back(
        fmt::format("models there: {}{}",
                    fmt::join(models.begin(), models.begin() + static_cast<long>(shown), ", "),
                    models.size() > shown ? ", ..." : ""));
  }
  notes.push_back(HowToGet(repo));
  return IoError(Location::File(cache_folder.string()),
                 fmt::format("model '{}' is not in this Hugging Face cache", repo.name), 0,
                 std::move(notes));
}

/// Returns the commit that a branch or tag of the cache stands for; nullopt if there is no such
/// ref.
Result<std::optional<std::string>> ReadRef(const fs::path& repo_folder,
                                           const std::string& revision) {
  const fs::path path = repo_folder / "refs" / revision;
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) return std::optional<std::string>();
  QEFF_ASSIGN_OR_RETURN(std::string text, ReadSmallFile(path, kMaxRefBytes));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) {
    text.pop_back();
  }
  if (text.size() != kCommitDigits || !IsHex(text)) {
    return InvalidInput(
        Location::File(path.string()),
        fmt::format("expected a commit of {} hex digits, got {} bytes of something else",
                    kCommitDigits, text.size()),
        {"the cache is damaged: remove this file and fetch the model again"});
  }
  return std::optional<std::string>(std::move(text));
}

Status NoSuchRevision(const RepoId& repo, const fs::path& repo_folder,
                      const std::vector<std::string>& snapshots) {
  std::vector<std::string> notes;
  if (!snapshots.empty()) {
    notes.push_back(fmt::format("snapshots there: {}", fmt::join(snapshots, ", ")));
  }
  notes.push_back(HowToGet(repo));
  return IoError(Location::File(repo_folder.string()),
                 fmt::format("revision '{}' of '{}' is not in this Hugging Face cache",
                             repo.revision, repo.name),
                 0, std::move(notes));
}

/// Returns the snapshot whose name begins with what the user typed as a commit; nullopt if none
/// does.
Result<std::optional<std::string>> FindCommit(const RepoId& repo,
                                              const std::vector<std::string>& snapshots) {
  const std::string& typed = repo.revision;
  std::vector<std::string> found;
  if (IsHex(typed) && typed.size() >= kShortestCommit) {
    for (const std::string& snapshot : snapshots) {
      if (snapshot.starts_with(typed)) found.push_back(snapshot);
    }
  }
  if (found.empty()) return std::optional<std::string>();
  if (found.size() > 1) {
    return UsageError(Location::Flag("MODEL"),
                      fmt::format("commit '{}' of '{}' is not unique", typed, repo.name),
                      {fmt::format("it may be: {}", fmt::join(found, ", "))});
  }
  return std::optional<std::string>(found[0]);
}

Result<Snapshot> ResolveId(const RepoId& repo, const fs::path& cache_folder) {
  const fs::path repo_folder = cache_folder / repo.CacheFolderName();
  if (!IsFolder(repo_folder)) return NotInCache(repo, cache_folder);
  const std::vector<std::string> snapshots = FoldersIn(repo_folder / "snapshots");
  Snapshot result{.repo = repo.name};
  QEFF_ASSIGN_OR_RETURN(std::optional<std::string> commit, ReadRef(repo_folder, repo.revision));
  if (!commit) {
    QEFF_ASSIGN_OR_RETURN(commit, FindCommit(repo, snapshots));
  }
  if (!commit && repo.revision == "main" && snapshots.size() == 1) {
    commit = snapshots[0];
    result.notes.push_back(fmt::format(
        "the cache has no ref 'main' of '{}'; its only snapshot {} is taken", repo.name, *commit));
  }
  if (!commit) return NoSuchRevision(repo, repo_folder, snapshots);
  if (!std::binary_search(snapshots.begin(), snapshots.end(), *commit)) {
    return IoError(Location::File((repo_folder / "snapshots" / *commit).string()),
                   fmt::format("the snapshot that '{}' of '{}' stands for is missing",
                               repo.revision, repo.name),
                   0, {HowToGet(repo)});
  }
  result.commit = *commit;
  result.folder = repo_folder / "snapshots" / *commit;
  return result;
}

}  // namespace

fs::path HomeFolderFromEnvironment() {
  if (const std::string value = Environment("HF_HOME"); !value.empty()) return ExpandHome(value);
  if (const std::string value = Environment("XDG_CACHE_HOME"); !value.empty()) {
    return ExpandHome(value) / "huggingface";
  }
  if (Environment("HOME").empty()) return {};
  return ExpandHome("~/.cache/huggingface");
}

fs::path CacheFolderFromEnvironment() {
  for (const char* name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}) {
    if (const std::string value = Environment(name); !value.empty()) return ExpandHome(value);
  }
  const fs::path home = HomeFolderFromEnvironment();
  return home.empty() ? home : home / "hub";
}

Result<Snapshot> Resolve(std::string_view typed, const fs::path& cache_folder) {
  QEFF_ASSIGN_OR_RETURN(const ModelSource source, ParseModelSource(typed));
  if (!source.folder.empty()) return Snapshot{.folder = source.folder};
  QEFF_ASSIGN_OR_RETURN(Snapshot snapshot, ResolveInCache(source.repo, cache_folder));
  if (source.subfolder.empty()) return snapshot;
  snapshot.subfolder = source.subfolder;
  snapshot.folder /= source.subfolder;
  if (IsFolder(snapshot.folder)) return snapshot;
  return IoError(Location::File(snapshot.folder.string()), "no such folder in the snapshot", 0,
                 {HowToGet(source.repo)});
}

Result<Snapshot> ResolveInCache(const RepoId& repo, const fs::path& cache_folder) {
  if (cache_folder.empty()) {
    return IoError(Location::Flag("MODEL"),
                   fmt::format("no Hugging Face cache to look for '{}' in", repo.name), 0,
                   {"set HF_HUB_CACHE to its folder, or give a checkpoint folder"});
  }
  return ResolveId(repo, cache_folder);
}

}  // namespace qeff::hub
