// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/hub/folder_handle.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "lib/support/file.h"

namespace qeff::hub {
namespace {

namespace fs = std::filesystem;

constexpr int kFolderFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

/// One at a time for each process, so that what a killed one leaves does not pile up.
std::string AsideName() { return fmt::format(".aside-{}", ::getpid()); }

}  // namespace

std::string_view FolderOf(std::string_view relative) {
  const size_t slash = relative.rfind('/');
  return slash == relative.npos ? std::string_view() : relative.substr(0, slash);
}

std::string_view NameOf(std::string_view relative) {
  const size_t slash = relative.rfind('/');
  return slash == relative.npos ? relative : relative.substr(slash + 1);
}

Result<FolderHandle> FolderHandle::Make(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error && !fs::is_directory(path)) {
    return IoError(Location::File(path.string()), "cannot make the folder", error.value(),
                   {"choose another place with HF_HUB_CACHE or --local-dir"});
  }
  const int descriptor = ::open(path.c_str(), kFolderFlags);
  if (descriptor < 0) {
    return IoError(Location::File(path.string()), "cannot open the folder", errno);
  }
  return FolderHandle(descriptor, path);
}

FolderHandle::FolderHandle(FolderHandle&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), path_(std::move(other.path_)) {}

FolderHandle::~FolderHandle() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<FolderHandle> FolderHandle::MakeBelow(std::string_view relative) const {
  FolderHandle folder(::openat(descriptor_, ".", kFolderFlags), path_);
  while (folder.descriptor_ >= 0 && !relative.empty()) {
    const size_t slash = std::min(relative.find('/'), relative.size());
    const std::string part(relative.substr(0, slash));
    relative.remove_prefix(std::min(slash + 1, relative.size()));
    const fs::path path = folder.path_ / part;
    if (::mkdirat(folder.descriptor_, part.c_str(), 0777) != 0 && errno != EEXIST) {
      return IoError(Location::File(path.string()), "cannot make the folder", errno);
    }
    const int below = ::openat(folder.descriptor_, part.c_str(), kFolderFlags | O_NOFOLLOW);
    if (below < 0 && (errno == ELOOP || errno == ENOTDIR)) {
      return IoError(Location::File(path.string()), "expected a folder, got a link or a file", 0,
                     {"nothing is written through links here, since they may lead anywhere: "
                      "remove it and run this again"});
    }
    if (below < 0) return IoError(Location::File(path.string()), "cannot open the folder", errno);
    ::close(folder.descriptor_);
    folder.descriptor_ = below;
    folder.path_ = path;
  }
  if (folder.descriptor_ < 0) {
    return IoError(Location::File(path_.string()), "cannot open the folder", errno);
  }
  return folder;
}

Status FolderHandle::MoveHere(const std::string& name, const FolderHandle& aside,
                              const std::string& aside_name) const {
  if (::renameat(aside.descriptor_, aside_name.c_str(), descriptor_, name.c_str()) == 0) {
    return Status::Ok();
  }
  const int error = errno;
  ::unlinkat(aside.descriptor_, aside_name.c_str(), 0);
  return IoError(Location::File((path_ / name).string()), "cannot replace the file", error);
}

Status FolderHandle::Link(const std::string& name, const std::string& target,
                          const FolderHandle& aside) const {
  if (::symlinkat(target.c_str(), descriptor_, name.c_str()) == 0) return Status::Ok();
  int error = errno;
  const std::string aside_name = AsideName();
  if (error == EEXIST) {
    // A link cannot be made in place of something: make it aside and rename.
    ::unlinkat(aside.descriptor_, aside_name.c_str(), 0);
    error = ::symlinkat(target.c_str(), aside.descriptor_, aside_name.c_str()) == 0 ? 0 : errno;
  }
  if (error != 0) {
    return IoError(Location::File((path_ / name).string()), "cannot make the link", error,
                   {"if this file system has no links, set HF_HUB_DISABLE_SYMLINKS=1"});
  }
  return MoveHere(name, aside, aside_name);
}

Status FolderHandle::Write(const std::string& name, std::string_view content,
                           const FolderHandle& aside) const {
  const std::string aside_name = AsideName();
  QEFF_RETURN_IF_ERROR(WriteFileAtomically(aside.path_ / aside_name, content));
  return MoveHere(name, aside, aside_name);
}

Status FolderHandle::Copy(const std::string& name, const fs::path& from,
                          const FolderHandle& aside) const {
  const std::string aside_name = AsideName();
  std::error_code error;
  fs::copy_file(from, aside.path_ / aside_name, fs::copy_options::overwrite_existing, error);
  if (!error) return MoveHere(name, aside, aside_name);
  ::unlinkat(aside.descriptor_, aside_name.c_str(), 0);
  return IoError(Location::File((path_ / name).string()),
                 fmt::format("cannot copy '{}'", from.string()), error.value());
}

FileLock::FileLock(const fs::path& path) {
  std::error_code ignored;
  fs::create_directories(path.parent_path(), ignored);
  descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (descriptor_ < 0) return;
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) == 0) {
    state_ = State::kHeld;
  } else if (errno == EWOULDBLOCK) {
    state_ = State::kBusy;
  }
}

FileLock::FileLock(FileLock&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), state_(other.state_) {}

FileLock::~FileLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace qeff::hub
