// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/hub/inventory.h"

#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <set>

#include "lib/hub/cache.h"
#include "lib/hub/file_list.h"
#include "lib/hub/folder_handle.h"
#include "lib/hub/part_file.h"
#include "lib/support/file.h"

namespace qeff::hub {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFolderPrefix = "models--";
constexpr std::string_view kPartSuffix = ".incomplete";
constexpr std::string_view kNotesSuffix = ".progress";

std::vector<fs::path> EntriesOf(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code error;
  fs::directory_iterator iterator(folder, error);
  for (; !error && iterator != fs::directory_iterator(); iterator.increment(error)) {
    entries.push_back(iterator->path());
  }
  std::sort(entries.begin(), entries.end());
  return entries;
}

/// Everything below `folder` that is no folder; links are not followed.
std::vector<fs::path> FilesBelow(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  fs::recursive_directory_iterator iterator(folder, error);
  for (; !error && iterator != fs::recursive_directory_iterator(); iterator.increment(error)) {
    std::error_code ignored;
    if (!fs::is_directory(iterator->symlink_status(ignored))) files.push_back(iterator->path());
  }
  return files;
}

struct RepoFolder {
  fs::path path;
  std::string repo;
};

std::vector<RepoFolder> RepoFolders(const fs::path& cache_folder) {
  std::vector<RepoFolder> folders;
  for (const fs::path& path : EntriesOf(cache_folder)) {
    std::string name = path.filename().string();
    std::error_code ignored;
    if (!name.starts_with(kFolderPrefix) || !fs::is_directory(path, ignored)) continue;
    name.erase(0, kFolderPrefix.size());
    if (const size_t dashes = name.find("--"); dashes != name.npos) name.replace(dashes, 2, "/");
    folders.push_back({path, name});
  }
  return folders;
}

std::map<std::string, std::vector<std::string>> RefsByCommit(const fs::path& repo_folder) {
  std::map<std::string, std::vector<std::string>> refs;
  for (const fs::path& path : FilesBelow(repo_folder / "refs")) {
    const Result<std::string> commit = ReadSmallFile(path, 1024);
    if (commit.ok())
      refs[*commit].push_back(path.lexically_relative(repo_folder / "refs").string());
  }
  for (auto& [commit, names] : refs) std::sort(names.begin(), names.end());
  return refs;
}

/// Names of the blobs that some snapshot links to.
std::set<std::string> UsedBlobs(const fs::path& repo_folder) {
  std::set<std::string> used;
  for (const fs::path& path : FilesBelow(repo_folder / "snapshots")) {
    std::error_code error;
    const fs::path target = fs::read_symlink(path, error);
    if (!error) used.insert(target.filename().string());
  }
  return used;
}

fs::path LockOf(const fs::path& cache_folder, const fs::path& repo_folder, const fs::path& blob) {
  const std::string name = blob.filename().string();
  return cache_folder / ".locks" / repo_folder.filename() /
         (name.substr(0, name.find('.')) + ".lock");
}

/// True if nothing needs the file; `used` are the blobs that are linked to.
bool IsUnused(const fs::path& path, const std::set<std::string>& used) {
  const std::string name = path.filename().string();
  if (name.ends_with(kPartSuffix)) return IsAbandoned(path);
  if (name.ends_with(kNotesSuffix)) {
    // Notes go with their part; alone they are of no use.
    std::error_code ignored;
    return !fs::exists(path.parent_path() / (path.stem().string() + std::string(kPartSuffix)),
                       ignored);
  }
  return IsContentHash(name) && !used.contains(name);
}

}  // namespace

std::vector<CachedSnapshot> ListCache(const fs::path& cache_folder) {
  std::vector<CachedSnapshot> snapshots;
  for (const RepoFolder& folder : RepoFolders(cache_folder)) {
    const auto refs = RefsByCommit(folder.path);
    for (const fs::path& path : EntriesOf(folder.path / "snapshots")) {
      CachedSnapshot snapshot{.repo = folder.repo, .commit = path.filename().string()};
      if (const auto names = refs.find(snapshot.commit); names != refs.end()) {
        snapshot.refs = names->second;
      }
      for (const fs::path& file : FilesBelow(path)) {
        std::error_code error;
        const auto size_bytes = fs::file_size(file, error);
        if (!error) snapshot.size_bytes += static_cast<int64_t>(size_bytes);
        ++snapshot.file_count;
      }
      snapshot.is_complete =
          CheckComplete({.folder = path, .repo = folder.repo, .commit = snapshot.commit}).ok();
      snapshots.push_back(std::move(snapshot));
    }
  }
  return snapshots;
}

std::vector<UnusedFile> FindUnused(const fs::path& cache_folder) {
  std::vector<UnusedFile> found;
  for (const RepoFolder& folder : RepoFolders(cache_folder)) {
    const std::set<std::string> used = UsedBlobs(folder.path);
    for (const fs::path& path : EntriesOf(folder.path / "blobs")) {
      if (!IsUnused(path, used)) continue;
      const FileLock lock(LockOf(cache_folder, folder.path, path));
      if (lock.state() == FileLock::State::kBusy) continue;
      struct stat info {};
      if (::lstat(path.c_str(), &info) != 0) continue;
      found.push_back({.path = path,
                       .repo = folder.repo,
                       .size_bytes = info.st_size,
                       .is_part = !IsContentHash(path.filename().string())});
    }
  }
  return found;
}

Result<int64_t> RemoveUnused(const fs::path& cache_folder, const std::vector<UnusedFile>& files) {
  int64_t removed_bytes = 0;
  for (const UnusedFile& file : files) {
    const fs::path repo_folder = file.path.parent_path().parent_path();
    const FileLock lock(LockOf(cache_folder, repo_folder, file.path));
    if (lock.state() == FileLock::State::kBusy) continue;
    // Whoever downloads links the blob before letting its lock go: look again under the lock.
    if (!IsUnused(file.path, UsedBlobs(repo_folder))) continue;
    std::error_code error;
    if (fs::remove(file.path, error)) removed_bytes += file.size_bytes;
    if (error) {
      return IoError(Location::File(file.path.string()), "cannot remove the file", error.value());
    }
    if (file.path.extension() == kPartSuffix) {
      fs::remove(file.path.parent_path() / (file.path.stem().string() + std::string(kNotesSuffix)),
                 error);
    }
  }
  return removed_bytes;
}

}  // namespace qeff::hub
