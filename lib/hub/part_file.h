// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// A file that is not whole yet: <etag>.<8 hex>.incomplete, and beside it <etag>.<8 hex>.progress,
// which says who writes it and which blocks are done, each with a hash. Each process has its own,
// so that no lock is needed for a right result; what a dead process left is taken over, block by
// block, after its hashes were checked.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "lib/support/status.h"

namespace qeff::hub {

class PartFile {
 public:
  /// What is kept of an interrupted download is a multiple of this: little enough to lose on a slow
  /// line, much enough that noting it costs nothing on a fast one.
  static constexpr int64_t kBlockBytes = int64_t{4} << 20;

  /// Makes the part file of this process for a content of `size_bytes`, or takes over that of a
  /// process of this machine that is no longer there. Of one that cannot be told dead the good
  /// blocks are copied. Calls `advance`, if it is set, with the bytes that were checked. Errors:
  /// kIo.
  static Result<PartFile> Open(const std::filesystem::path& folder, const std::string& etag,
                               int64_t size_bytes,
                               const std::function<void(int64_t)>& advance = {});
  /// Returns the bytes that Open would find to keep, from the notes alone.
  static int64_t BytesToKeep(const std::filesystem::path& folder, const std::string& etag,
                             int64_t size_bytes);

  PartFile(PartFile&& other) noexcept;
  PartFile& operator=(PartFile&&) = delete;
  ~PartFile();  ///< closes; the file stays for a later run

  const std::filesystem::path& path() const { return path_; }
  int descriptor() const { return descriptor_; }
  int64_t size_bytes() const { return size_bytes_; }
  int64_t block_count() const { return static_cast<int64_t>(done_.size()); }
  bool IsDone(int64_t block) const { return done_[static_cast<size_t>(block)]; }
  int64_t done_bytes() const;

  /// Writes at `offset_bytes`. Errors: kIo with the offset.
  Status Write(int64_t offset_bytes, const void* data, size_t data_bytes);
  /// Notes that a block is written and has this hash (XXH3-128, 32 hex digits). A note that cannot
  /// be written only costs a later run time.
  void MarkDone(int64_t block, const std::string& xxh3);
  /// Forgets everything that was written.
  Status Restart();
  /// Waits until the content is on the disk. Errors: kIo.
  Status Sync();
  /// Renames it to `target` and removes the notes. Call Sync before, or a power cut may leave a
  /// file without its content. Errors: kIo.
  Status Publish(const std::filesystem::path& target);
  /// Removes the file and its notes.
  void Discard();

 private:
  PartFile(const std::filesystem::path& folder, const std::string& etag, int64_t size_bytes);
  Status Create();
  bool TakeOver(const std::filesystem::path& leftover);
  Status CheckBlocks(int from, const std::function<void(int64_t)>& advance);
  std::filesystem::path NotesPath() const;
  Status WriteNotes();

  std::filesystem::path path_;
  int64_t size_bytes_ = 0;
  int descriptor_ = -1;
  int notes_ = -1;
  std::vector<bool> done_;
  std::vector<std::string> hashes_;
};

/// Removes what other processes left of a content that is whole by now, but for those known to be
/// at work. One that is at work all the same finds the content published.
void RemoveLeftovers(const std::filesystem::path& folder, const std::string& etag);

/// True if the process that writes the part file `path` is known to be gone, or if nobody can tell
/// and no note of ours says otherwise.
bool IsAbandoned(const std::filesystem::path& path);

}  // namespace qeff::hub
