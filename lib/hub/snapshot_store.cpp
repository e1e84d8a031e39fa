// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/hub/snapshot_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <fstream>

#include "lib/hub/content_hash.h"
#include "lib/support/file.h"

namespace qeff::hub {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kLocalFolder = ".cache/huggingface";

/// Files that programs look for and most repositories lack.
constexpr std::string_view kWellKnown[] = {"adapter_config.json",
                                           "added_tokens.json",
                                           "chat_template.jinja",
                                           "chat_template.json",
                                           "config.json",
                                           "generation_config.json",
                                           "model.safetensors",
                                           "model.safetensors.index.json",
                                           "preprocessor_config.json",
                                           "processor_config.json",
                                           "special_tokens_map.json",
                                           "tokenizer.json",
                                           "tokenizer_config.json"};

bool IsRegularOfSize(const fs::path& path, int64_t size_bytes) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && info.st_size == size_bytes;
}

fs::path BlobPath(const StorePlace& place, const RepoId& repo, const RepoFile& file) {
  return place.cache_folder / repo.CacheFolderName() / "blobs" / file.etag();
}

fs::path LocalNotesPath(const StorePlace& place, const RepoFile& file) {
  return place.local_dir / kLocalFolder / "download" / (file.path + ".metadata");
}

double Seconds(const timespec& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

/// True if the notes in the user's folder say that the file there has the content that is wanted,
/// and it was not changed since.
bool LocalNotesAgree(const StorePlace& place, const RepoFile& file) {
  std::ifstream in(LocalNotesPath(place, file));
  std::string commit;
  std::string etag;
  double noted_at = 0;
  if (!(in >> commit >> etag >> noted_at)) return false;
  struct stat info {};
  if (::stat((place.local_dir / file.path).c_str(), &info) != 0) return false;
  constexpr double kClockSlackSeconds = 1;  // as huggingface_hub grants it
  return etag == file.etag() && Seconds(info.st_mtim) - kClockSlackSeconds <= noted_at;
}

/// Where the file belongs in the end, whatever the kind of place.
fs::path FinalPath(const StorePlace& place, const RepoId& repo, const std::string& commit,
                   const RepoFile& file) {
  if (!place.local_dir.empty()) return place.local_dir / file.path;
  return place.cache_folder / repo.CacheFolderName() / "snapshots" / commit / file.path;
}

Status WriteBelow(const FolderHandle& root, const std::string& relative, std::string_view text) {
  QEFF_ASSIGN_OR_RETURN(const FolderHandle folder, root.MakeBelow(FolderOf(relative)));
  return folder.Write(std::string(NameOf(relative)), text, root);
}

}  // namespace

SnapshotStore::SnapshotStore(const StorePlace& place, const RepoId& repo, std::string commit,
                             FolderHandle repo_folder, FolderHandle folder, FolderHandle parts)
    : place_(place),
      repo_(repo),
      commit_(std::move(commit)),
      repo_folder_(std::move(repo_folder)),
      folder_(std::move(folder)),
      parts_(std::move(parts)) {}

Result<SnapshotStore> SnapshotStore::Open(const StorePlace& place, const RepoId& repo,
                                          const std::string& commit) {
  if (place.local_dir.empty()) {
    QEFF_ASSIGN_OR_RETURN(FolderHandle repo_folder,
                          FolderHandle::Make(place.cache_folder / repo.CacheFolderName()));
    QEFF_ASSIGN_OR_RETURN(FolderHandle parts, repo_folder.MakeBelow("blobs"));
    QEFF_ASSIGN_OR_RETURN(FolderHandle folder, repo_folder.MakeBelow("snapshots/" + commit));
    return SnapshotStore(place, repo, commit, std::move(repo_folder), std::move(folder),
                         std::move(parts));
  }
  QEFF_ASSIGN_OR_RETURN(FolderHandle folder, FolderHandle::Make(place.local_dir));
  QEFF_ASSIGN_OR_RETURN(FolderHandle notes, folder.MakeBelow(kLocalFolder));
  QEFF_ASSIGN_OR_RETURN(FolderHandle parts, notes.MakeBelow("download"));
  std::error_code ignored;
  if (!fs::exists(notes.path() / ".gitignore", ignored)) {
    QEFF_RETURN_IF_ERROR(WriteFileAtomically(notes.path() / ".gitignore", "*"));
  }
  return SnapshotStore(place, repo, commit, std::move(notes), std::move(folder), std::move(parts));
}

int64_t SnapshotStore::MissingBytes(const StorePlace& place, const RepoId& repo,
                                    const std::string& commit, const RepoFile& file) {
  const fs::path final_path = FinalPath(place, repo, commit, file);
  const bool is_there = IsRegularOfSize(final_path, file.size_bytes);
  if (is_there && (place.local_dir.empty() || LocalNotesAgree(place, file))) return 0;
  if (IsRegularOfSize(BlobPath(place, repo, file), file.size_bytes)) return 0;
  const fs::path parts = place.local_dir.empty() ? BlobPath(place, repo, file).parent_path()
                                                 : place.local_dir / kLocalFolder / "download";
  return file.size_bytes - PartFile::BytesToKeep(parts, file.etag(), file.size_bytes);
}

fs::path SnapshotStore::LockPath(const RepoFile& file) const {
  if (place_.local_dir.empty()) {
    return place_.cache_folder / ".locks" / repo_.CacheFolderName() / (file.etag() + ".lock");
  }
  return parts_.path() / (file.path + ".lock");
}

Status SnapshotStore::LinkToBlob(const RepoFile& file) {
  QEFF_ASSIGN_OR_RETURN(const FolderHandle folder, folder_.MakeBelow(FolderOf(file.path)));
  const std::string name(NameOf(file.path));
  std::string target = "../../";  // out of <commit> and snapshots
  for (const char c : file.path) target += c == '/' ? "../" : "";
  target += "blobs/" + file.etag();
  std::error_code error;
  if (fs::read_symlink(folder.path() / name, error) == target && !error) return Status::Ok();
  return folder.Link(name, target, repo_folder_);
}

Status SnapshotStore::WriteLocalNotes(const RepoFile& file) {
  // Whole seconds would be earlier than the file's own time.
  const double now =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  return WriteBelow(parts_, file.path + ".metadata",
                    fmt::format("{}\n{}\n{:.6f}\n", commit_, file.etag(), now));
}

Result<bool> SnapshotStore::Provide(const RepoFile& file,
                                    const std::function<void(int64_t)>& advance) {
  const fs::path final_path = FinalPath(place_, repo_, commit_, file);
  const fs::path blob = BlobPath(place_, repo_, file);
  const bool has_blob = IsRegularOfSize(blob, file.size_bytes);
  // Also makes sure that no folder on the way is a link.
  QEFF_ASSIGN_OR_RETURN(const FolderHandle folder, folder_.MakeBelow(FolderOf(file.path)));
  const std::string name(NameOf(file.path));
  if (place_.local_dir.empty()) {
    std::error_code ignored;
    const bool is_link = fs::is_symlink(final_path, ignored);
    if (!is_link && IsRegularOfSize(final_path, file.size_bytes)) return true;
    if (!has_blob) return false;
    if (place_.use_links) {
      QEFF_RETURN_IF_ERROR(LinkToBlob(file));
    } else if (!is_link || !IsRegularOfSize(final_path, file.size_bytes)) {
      QEFF_RETURN_IF_ERROR(folder.Copy(name, blob, repo_folder_));
    }
    return true;
  }
  std::error_code ignored;
  if (!fs::is_symlink(final_path, ignored) && IsRegularOfSize(final_path, file.size_bytes)) {
    bool is_same = LocalNotesAgree(place_, file);
    if (!is_same) {
      QEFF_ASSIGN_OR_RETURN(const std::string hash, HashFile(final_path, file.etag(), advance));
      is_same = hash == file.etag();
    }
    if (is_same) {
      QEFF_RETURN_IF_ERROR(WriteLocalNotes(file));
      return true;
    }
  }
  if (!has_blob) return false;
  QEFF_RETURN_IF_ERROR(folder.Copy(name, blob, repo_folder_));
  QEFF_RETURN_IF_ERROR(WriteLocalNotes(file));
  return true;
}

Status SnapshotStore::Publish(PartFile& part, const RepoFile& file) {
  if (place_.local_dir.empty() && place_.use_links) {
    QEFF_RETURN_IF_ERROR(part.Publish(parts_.path() / file.etag()));
    RemoveLeftovers(parts_.path(), file.etag());
    return LinkToBlob(file);
  }
  QEFF_ASSIGN_OR_RETURN(const FolderHandle folder, folder_.MakeBelow(FolderOf(file.path)));
  QEFF_RETURN_IF_ERROR(part.Publish(folder.path() / NameOf(file.path)));
  RemoveLeftovers(parts_.path(), file.etag());
  return place_.local_dir.empty() ? Status::Ok() : WriteLocalNotes(file);
}

Status SnapshotStore::KeepList(const std::vector<RepoFile>& files) {
  const auto keep = [&](const std::string& relative, std::string_view text) {
    std::error_code ignored;
    if (fs::is_regular_file(repo_folder_.path() / relative, ignored)) return Status::Ok();
    return WriteBelow(repo_folder_, relative, text);
  };
  // A listing that is there but cannot be read is replaced.
  const std::string tree = "trees/" + commit_ + ".json";
  if (!ReadFileList(repo_folder_.path() / tree)) {
    QEFF_RETURN_IF_ERROR(WriteBelow(repo_folder_, tree, DumpFileList(files)));
  }
  if (!place_.local_dir.empty()) return Status::Ok();
  for (const std::string_view name : kWellKnown) {
    const bool is_listed = std::any_of(files.begin(), files.end(),
                                       [&](const RepoFile& file) { return file.path == name; });
    if (is_listed) continue;
    QEFF_RETURN_IF_ERROR(keep(fmt::format(".no_exist/{}/{}", commit_, name), ""));
  }
  return Status::Ok();
}

Status SnapshotStore::SetRef() {
  if (repo_.revision == commit_ || !place_.local_dir.empty()) return Status::Ok();
  const Result<std::string> old =
      ReadSmallFile(repo_folder_.path() / "refs" / repo_.revision, 1024);
  if (old.ok() && *old == commit_) return Status::Ok();
  return WriteBelow(repo_folder_, "refs/" + repo_.revision, commit_);
}

}  // namespace qeff::hub
