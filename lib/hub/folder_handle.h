// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// A folder that is held open, and what lies below it reached without following any link: a link
// that someone put in the way of a download is an error, not a way out of the cache.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "lib/support/status.h"

namespace qeff::hub {

class FolderHandle {
 public:
  /// Opens `path`, which the user chose, so links on the way are followed; makes it and its parents
  /// if they are missing. Errors: kIo.
  static Result<FolderHandle> Make(const std::filesystem::path& path);
  FolderHandle(FolderHandle&& other) noexcept;
  FolderHandle& operator=(FolderHandle&&) = delete;
  ~FolderHandle();

  const std::filesystem::path& path() const { return path_; }
  int descriptor() const { return descriptor_; }

  /// Opens the folder `relative` below this one, making what is missing. "" is this one again.
  /// Errors: kIo, also if a part of it is a link or no folder.
  Result<FolderHandle> MakeBelow(std::string_view relative) const;

  /// Makes `name` in this folder a link to `target`, in place of whatever file or link has that
  /// name. What that needs for a moment lies in `aside`, on the same file system: a process that is
  /// killed leaves nothing here. Errors: kIo.
  Status Link(const std::string& name, const std::string& target, const FolderHandle& aside) const;
  /// Makes `name` in this folder a file with this content, in the same way. Errors: kIo.
  Status Write(const std::string& name, std::string_view content, const FolderHandle& aside) const;
  /// Makes `name` in this folder a copy of the file `from`, in the same way. Errors: kIo.
  Status Copy(const std::string& name, const std::filesystem::path& from,
              const FolderHandle& aside) const;

 private:
  FolderHandle(int descriptor, std::filesystem::path path)
      : descriptor_(descriptor), path_(std::move(path)) {}
  Status MoveHere(const std::string& name, const FolderHandle& aside,
                  const std::string& aside_name) const;
  int descriptor_ = -1;
  std::filesystem::path path_;
};

/// Splits "a/b/c" into "a/b" and "c"; the folder is "" if there is none.
std::string_view FolderOf(std::string_view relative);
std::string_view NameOf(std::string_view relative);

/// A lock file that other programs on the same machine respect. Nothing relies on it for a right
/// result: on file systems where it does nothing, work is done twice.
class FileLock {
 public:
  enum class State { kHeld, kBusy, kUnavailable };
  /// Tries to lock `path` at once, making the file if needed.
  explicit FileLock(const std::filesystem::path& path);
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&&) = delete;
  ~FileLock();
  State state() const { return state_; }

 private:
  int descriptor_ = -1;
  State state_ = State::kUnavailable;
};

}  // namespace qeff::hub
