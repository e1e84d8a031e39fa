// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/artifact/artifact_folder.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <optional>
#include <utility>

#include "lib/support/file.h"
#include "lib/support/hash.h"

namespace qeff::artifact {
namespace {

namespace fs = std::filesystem;

constexpr size_t kCopyPieceBytes = size_t{4} << 20;
// Larger carried files are hashed with the faster hash.
constexpr size_t kSmallFileBytes = size_t{16} << 20;
constexpr int kNameAttempts = 1000;
constexpr std::string_view kAsideSuffix = ".old";

/// Owns an open descriptor of a folder; its flock tells other processes that the folder is in use.
class FolderLock {
 public:
  FolderLock() = default;
  FolderLock(FolderLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  FolderLock& operator=(FolderLock&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~FolderLock() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  /// Returns true if nobody else holds the folder, or if the file system has no locks.
  bool Take(const fs::path& folder) {
    descriptor_ = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return descriptor_ >= 0 &&
           (::flock(descriptor_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK);
  }

 private:
  int descriptor_ = -1;
};

std::string TemporaryPrefix(const fs::path& final_path) {
  return fmt::format(".{}.tmp-", final_path.filename().string());
}

/// Returns true if `process` is another process that runs. Our own number says nothing: in
/// containers, the process that was killed often had the same.
bool IsRunningElsewhere(pid_t process) {
  return process != ::getpid() && (::kill(process, 0) == 0 || errno != ESRCH);
}

/// Returns the process of a name like "<prefix><pid>-<n>", or nothing if `name` is no such name.
std::optional<pid_t> ProcessOfTemporary(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return std::nullopt;
  name.remove_prefix(prefix.size());
  pid_t process = 0;
  const auto parsed = std::from_chars(name.data(), name.data() + name.size(), process);
  if (parsed.ec != std::errc() || process <= 0 || parsed.ptr == name.data() + name.size() ||
      *parsed.ptr != '-') {
    return std::nullopt;
  }
  return process;
}

/// Removes what dead processes left of this artifact. An earlier artifact that was moved aside by a
/// process killed between its two renames is put back.
void RemoveLeftovers(const fs::path& final_path) {
  const std::string prefix = TemporaryPrefix(final_path);
  std::error_code error;
  std::vector<fs::path> leftovers;
  for (fs::directory_iterator entry(final_path.parent_path(), error), end; !error && entry != end;
       entry.increment(error)) {
    const auto process = ProcessOfTemporary(entry->path().filename().string(), prefix);
    if (process && !IsRunningElsewhere(*process)) leftovers.push_back(entry->path());
  }
  for (const fs::path& leftover : leftovers) {
    FolderLock lock;
    // A process that is dead here may live in another process name space (container): its lock
    // tells.
    if (!lock.Take(leftover)) continue;
    const bool is_aside = leftover.string().ends_with(kAsideSuffix);
    // Fails if a whole artifact is there by now.
    if (is_aside && ::rename(leftover.c_str(), final_path.c_str()) == 0) continue;
    fs::remove_all(leftover, error);
  }
}

Status NotReplaceable(const fs::path& path, std::string message) {
  return UsageError(Location::File(path.string()), std::move(message),
                    {"choose another output folder, or remove this one"});
}

/// Ok if `path` is absent, an empty folder, or an artifact whose every file its manifest names.
Status CheckReplaceable(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::symlink_status(path, error);
  if (status.type() == fs::file_type::not_found) return Status::Ok();
  if (error)
    return IoError(Location::File(path.string()), "cannot look at the output folder",
                   error.value());
  if (!fs::is_directory(status))
    return NotReplaceable(path, "expected a folder to write to, got a file");
  const bool is_empty = fs::is_empty(path, error);
  if (error)
    return IoError(Location::File(path.string()), "cannot read the output folder", error.value());
  if (is_empty) return Status::Ok();

  const fs::path manifest_path = path / kManifestName;
  if (!fs::exists(manifest_path, error)) {
    return NotReplaceable(
        path,
        "expected an earlier artifact or an empty folder, got a folder without 'manifest.json'");
  }
  QEFF_ASSIGN_OR_RETURN(const std::string text, ReadSmallFile(manifest_path));
  const Result<Manifest> manifest = ParseManifest(text, manifest_path.string());
  if (!manifest.ok() && manifest.diagnostic().code != ErrorCode::kVersionMismatch) {
    return NotReplaceable(path,
                          "expected an earlier artifact, got a 'manifest.json' of another program");
  }
  if (!manifest.ok())
    return Status::Ok();  // a newer release's artifact: its other names are not ours to judge
  for (fs::recursive_directory_iterator entry(path, error), end; !error && entry != end;
       entry.increment(error)) {
    if (entry->is_directory(error)) continue;
    const std::string name = entry->path().lexically_relative(path).generic_string();
    if (name != kManifestName && !manifest->files.contains(name)) {
      return NotReplaceable(
          path, fmt::format("the folder holds '{}', which its manifest does not name", name));
    }
  }
  if (error)
    return IoError(Location::File(path.string()), "cannot read the output folder", error.value());
  return Status::Ok();
}

/// Asks for `path` to reach the disk. Only for the manifest and folders: weight data is too much to
/// wait for, and sizes and hashes in the manifest tell when a power failure lost some.
void Synchronize(const fs::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return;
  ::fsync(descriptor);
  ::close(descriptor);
}

/// Makes `temporary` the folder `final_path`. An earlier folder of that name ends up under the
/// returned path, to be removed.
Result<fs::path> MoveIntoPlace(const fs::path& temporary, const fs::path& final_path) {
  const auto failed = [&final_path](int errno_value) {
    return IoError(Location::File(final_path.string()), "cannot put the artifact in place",
                   errno_value);
  };
  // An absent or empty folder is simply taken over.
  if (::rename(temporary.c_str(), final_path.c_str()) == 0) return fs::path();
  if (errno != ENOTEMPTY && errno != EEXIST) return failed(errno);
  // Another stage may have put something else there since Create.
  QEFF_RETURN_IF_ERROR(CheckReplaceable(final_path));
  if (::renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, final_path.c_str(), RENAME_EXCHANGE) == 0)
    return temporary;
  if (errno != EINVAL && errno != ENOSYS) return failed(errno);
  // A file system that cannot exchange: between these two renames only RemoveLeftovers knows where
  // the earlier one is.
  const fs::path aside = temporary.string() + std::string(kAsideSuffix);
  if (::rename(final_path.c_str(), aside.c_str()) != 0) return failed(errno);
  if (::rename(temporary.c_str(), final_path.c_str()) != 0) {
    const int errno_value = errno;
    ::rename(aside.c_str(), final_path.c_str());
    return failed(errno_value);
  }
  return aside;
}

/// Returns `path` made absolute, links followed, without a final '/'.
Result<fs::path> ResolveFinalPath(const fs::path& path) {
  std::error_code error;
  fs::path resolved = fs::absolute(path, error).lexically_normal();
  if (!resolved.has_filename()) resolved = resolved.parent_path();
  if (!path.empty() && !error) resolved = fs::weakly_canonical(resolved, error);
  if (path.empty() || error || !resolved.has_filename()) {
    return UsageError(Location::File(path.string()), "cannot be an output folder",
                      {"name a folder that is to be made, e.g. -o out"});
  }
  return resolved;
}

}  // namespace

struct WriterState {
  fs::path final_path;
  fs::path temporary;
  FolderLock lock;
  std::map<std::string, FileEntry> files;
  int open_files = 0;
  bool is_committed = false;

  ~WriterState() {
    std::error_code ignored;
    if (!is_committed) fs::remove_all(temporary, ignored);
  }
};

struct ArtifactFile::State {
  State(FileWriter file_writer, HashKind kind, std::string relative_path, WriterState& writer_state)
      : file(std::move(file_writer)),
        hash_kind(kind),
        path(std::move(relative_path)),
        writer(writer_state) {}

  void UpdateHash(std::span<const std::byte> bytes) {
    if (hash_kind == HashKind::kSha256) {
      sha256.Update(bytes);
    } else {
      xxh3.Update(bytes);
    }
  }

  FileWriter file;
  HashKind hash_kind;
  std::string path;
  WriterState& writer;
  Sha256 sha256;
  Xxh3 xxh3;
};

ArtifactFile::ArtifactFile(std::unique_ptr<State> state) : state_(std::move(state)) {}
ArtifactFile::ArtifactFile(ArtifactFile&&) noexcept = default;
ArtifactFile::~ArtifactFile() = default;

Status ArtifactFile::Append(std::span<const std::byte> bytes) {
  QEFF_RETURN_IF_ERROR(state_->file.Append(bytes));
  state_->UpdateHash(bytes);
  return Status::Ok();
}

Status ArtifactFile::AlignTo(size_t alignment_bytes) {
  const std::string zeros(4096, '\0');
  const auto offset = static_cast<size_t>(state_->file.offset_bytes());
  size_t missing_bytes = (alignment_bytes - offset % alignment_bytes) % alignment_bytes;
  while (missing_bytes > 0) {
    const size_t piece_bytes = std::min(missing_bytes, zeros.size());
    QEFF_RETURN_IF_ERROR(Append(std::string_view(zeros).substr(0, piece_bytes)));
    missing_bytes -= piece_bytes;
  }
  return Status::Ok();
}

int64_t ArtifactFile::offset_bytes() const { return state_->file.offset_bytes(); }

Status ArtifactFile::Close() {
  QEFF_RETURN_IF_ERROR(state_->file.Close());
  const bool is_sha256 = state_->hash_kind == HashKind::kSha256;
  state_->writer.files[state_->path] = {
      .size_bytes = state_->file.offset_bytes(),
      .hash_kind = state_->hash_kind,
      .hash = is_sha256 ? state_->sha256.HexDigest() : state_->xxh3.HexDigest()};
  --state_->writer.open_files;
  return Status::Ok();
}

ArtifactWriter::ArtifactWriter(std::unique_ptr<WriterState> state) : state_(std::move(state)) {}
ArtifactWriter::ArtifactWriter(ArtifactWriter&&) noexcept = default;
ArtifactWriter::~ArtifactWriter() = default;

Result<ArtifactWriter> ArtifactWriter::Create(const fs::path& path) {
  QEFF_ASSIGN_OR_RETURN(const fs::path final_path, ResolveFinalPath(path));
  std::error_code error;
  fs::create_directories(final_path.parent_path(), error);
  if (error) {
    return IoError(Location::File(final_path.parent_path().string()), "cannot make the folder",
                   error.value());
  }
  RemoveLeftovers(final_path);
  QEFF_RETURN_IF_ERROR(CheckReplaceable(final_path));

  auto state = std::make_unique<WriterState>();
  state->final_path = final_path;
  for (int attempt = 0; attempt < kNameAttempts; ++attempt) {
    const fs::path temporary =
        final_path.parent_path() /
        fmt::format("{}{}-{}", TemporaryPrefix(final_path), ::getpid(), attempt);
    if (::mkdir(temporary.c_str(), 0777) == 0) {
      state->temporary = temporary;
      state->lock.Take(temporary);
      return ArtifactWriter(std::move(state));
    }
    if (errno != EEXIST) break;
  }
  return IoError(Location::File(final_path.string()), "cannot make a folder beside it", errno);
}

Result<ArtifactFile> ArtifactWriter::NewFile(std::string_view relative_path, HashKind hash_kind) {
  QEFF_CHECK(IsInsidePath(relative_path) && relative_path != kManifestName,
             "'{}' is no name for a file of an artifact", relative_path);
  const fs::path path = state_->temporary / relative_path;
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  if (error)
    return IoError(Location::File(path.parent_path().string()), "cannot make the folder",
                   error.value());
  QEFF_ASSIGN_OR_RETURN(FileWriter file, FileWriter::Create(path));
  ++state_->open_files;
  return ArtifactFile(std::make_unique<ArtifactFile::State>(std::move(file), hash_kind,
                                                            std::string(relative_path), *state_));
}

Status ArtifactWriter::WriteFile(std::string_view relative_path, std::string_view content) {
  QEFF_ASSIGN_OR_RETURN(ArtifactFile file, NewFile(relative_path, HashKind::kSha256));
  QEFF_RETURN_IF_ERROR(file.Append(content));
  return file.Close();
}

Status ArtifactWriter::CopyFile(const fs::path& source, std::string_view relative_path) {
  QEFF_ASSIGN_OR_RETURN(const MappedFile input, MappedFile::Open(source));
  const size_t size_bytes = input.bytes().size();
  const HashKind hash_kind = size_bytes <= kSmallFileBytes ? HashKind::kSha256 : HashKind::kXxh3;
  QEFF_ASSIGN_OR_RETURN(ArtifactFile output, NewFile(relative_path, hash_kind));
  for (size_t offset = 0; offset < size_bytes; offset += kCopyPieceBytes) {
    const size_t piece_bytes = std::min(kCopyPieceBytes, size_bytes - offset);
    QEFF_RETURN_IF_ERROR(output.Append(input.bytes().subspan(offset, piece_bytes)));
    input.Release(offset, piece_bytes);
  }
  return output.Close();
}

const fs::path& ArtifactWriter::temporary_path() const { return state_->temporary; }

Status ArtifactWriter::AddWrittenFile(std::string_view relative_path, HashKind hash_kind) {
  QEFF_CHECK(IsInsidePath(relative_path), "'{}' is no name for a file of an artifact",
             relative_path);
  QEFF_ASSIGN_OR_RETURN(FileEntry entry, HashFile(state_->temporary / relative_path, hash_kind));
  state_->files[std::string(relative_path)] = std::move(entry);
  return Status::Ok();
}

Status ArtifactWriter::Commit(Manifest manifest) {
  QEFF_CHECK(!state_->is_committed && state_->open_files == 0, "commit of '{}' with {} open files",
             state_->final_path.string(), state_->open_files);
  manifest.files = state_->files;
  for (const ModuleEntry& module : manifest.modules) {
    for (const std::string& file : module.files) {
      QEFF_CHECK(manifest.files.contains(file), "module '{}' names '{}', which was not written",
                 module.name, file);
    }
  }
  const fs::path manifest_path = state_->temporary / kManifestName;
  QEFF_ASSIGN_OR_RETURN(FileWriter writer, FileWriter::Create(manifest_path));
  const std::string text = WriteManifest(manifest);
  QEFF_RETURN_IF_ERROR(writer.Append(std::as_bytes(std::span(text))));
  QEFF_RETURN_IF_ERROR(writer.Close());
  Synchronize(manifest_path);
  Synchronize(state_->temporary);
  QEFF_ASSIGN_OR_RETURN(const fs::path replaced,
                        MoveIntoPlace(state_->temporary, state_->final_path));
  state_->is_committed = true;
  Synchronize(state_->final_path.parent_path());
  std::error_code ignored;
  if (!replaced.empty()) fs::remove_all(replaced, ignored);
  return Status::Ok();
}

}  // namespace qeff::artifact
