// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Files: mapped reading, whole small files, and writing that is only visible when it is complete.
// Artifact folders (lib/artifact) build on this. Nothing here follows a wish to overwrite in place.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "lib/support/status.h"

namespace qeff {

/// A file mapped read-only. Movable; the mapping ends with the object. Threads may read at the same
/// time.
class MappedFile {
 public:
  /// Maps the whole regular file. Errors: kIo (missing, unreadable, not a regular file). An empty
  /// file maps to an empty span.
  static Result<MappedFile> Open(const std::filesystem::path& path);
  /// Maps the file behind an open descriptor, which stays the caller's; `path` names it in
  /// messages. For callers that must check what they opened. Errors as Open.
  static Result<MappedFile> OpenDescriptor(int descriptor, std::string path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {data_, size_bytes_}; }
  const std::string& path() const { return path_; }

  /// Drops the pages of [offset, offset + size) from this process (they stay in the page cache), so
  /// that resident memory does not grow with what was read. Only a hint; cannot fail.
  void Release(size_t offset_bytes, size_t size_bytes) const;
  /// Tells the kernel that the range will be read soon, in order.
  void WillNeed(size_t offset_bytes, size_t size_bytes) const;

 private:
  MappedFile() = default;
  std::byte* data_ = nullptr;
  size_t size_bytes_ = 0;
  std::string path_;
};

/// Returns the content of a file of at most `limit_bytes`. Errors: kIo; kInvalidInput if it is
/// larger.
Result<std::string> ReadSmallFile(const std::filesystem::path& path,
                                  size_t limit_bytes = size_t{64} << 20);

/// Writes `content` to a temporary sibling of `path`, then renames it over `path`. Errors: kIo
/// (full disk included); the old file is then untouched.
Status WriteFileAtomically(const std::filesystem::path& path, std::string_view content);

/// Appends to a new file in large writes; the caller publishes it by a rename (lib/artifact).
/// Writes nothing after an error.
class FileWriter {
 public:
  /// Creates `path`, which must not exist. Errors: kIo.
  static Result<FileWriter> Create(const std::filesystem::path& path);
  FileWriter(FileWriter&& other) noexcept;
  FileWriter& operator=(FileWriter&&) = delete;
  ~FileWriter();
  /// Errors: kIo with the byte offset ("no space left on device", ...).
  Status Append(std::span<const std::byte> bytes);
  /// Appends zero bytes up to the next multiple of `alignment_bytes`.
  Status AlignTo(size_t alignment_bytes);
  int64_t offset_bytes() const { return offset_bytes_; }
  /// Closes and reports errors that only show then.
  Status Close();

 private:
  FileWriter(int descriptor, std::string path) : descriptor_(descriptor), path_(std::move(path)) {}
  int descriptor_ = -1;
  std::string path_;
  int64_t offset_bytes_ = 0;
};

}  // namespace qeff
