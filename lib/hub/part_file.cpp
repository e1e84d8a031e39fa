// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/hub/part_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <optional>
#include <random>
#include <sstream>

#include "lib/support/hash.h"

namespace qeff::hub {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMagic = "qeff-part-1";
constexpr std::string_view kPartSuffix = ".incomplete";
constexpr std::string_view kNotesSuffix = ".progress";
constexpr size_t kReadBytes = size_t{1} << 20;
constexpr size_t kXxh3Digits = 32;

std::string FirstLine(const char* path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line.empty() ? "-" : line;
}

/// Who writes a part file: enough to tell later, on the same machine, whether that process is gone.
struct Owner {
  std::string machine;    // of the installation
  std::string boot;       // changes with every start
  std::string processes;  // the name space that the process id belongs to (containers)
  std::string process;
  std::string started;  // ticks; a process id is used again
  friend bool operator==(const Owner&, const Owner&) = default;
};

std::string StartOf(const std::string& process) {
  // The name of the program, in parentheses, may hold anything: count from its end.
  const std::string line = FirstLine(("/proc/" + process + "/stat").c_str());
  const size_t name_end = line.rfind(')');
  if (name_end == line.npos) return "-";
  std::istringstream fields(line.substr(name_end + 1));
  std::string field;
  for (int i = 3; i <= 22 && fields >> field; ++i) {
  }
  return field;
}

Owner Myself() {
  std::error_code ignored;
  Owner me{.machine = FirstLine("/etc/machine-id"),
           .boot = FirstLine("/proc/sys/kernel/random/boot_id"),
           .processes = fs::read_symlink("/proc/self/ns/pid", ignored).string(),
           .process = std::to_string(::getpid())};
  if (me.processes.empty()) me.processes = "-";
  me.started = StartOf(me.process);
  return me;
}

enum class Life { kAlive, kGone, kUnknown };

Life LifeOf(const Owner& owner) {
  const Owner me = Myself();
  if (owner.boot == "-") return Life::kUnknown;
  if (owner.boot != me.boot) {
    const bool is_here = owner.machine == me.machine && owner.machine != "-";
    return is_here ? Life::kGone : Life::kUnknown;
  }
  if (owner.processes != me.processes) return Life::kUnknown;
  return StartOf(owner.process) == owner.started && owner.started != "-" ? Life::kAlive
                                                                         : Life::kGone;
}

struct Notes {
  Owner owner;
  int64_t size_bytes = 0;
  std::vector<std::string> hashes;  // by block; "" if it is not done
};

int64_t BlockCount(int64_t size_bytes) {
  return (size_bytes + PartFile::kBlockBytes - 1) / PartFile::kBlockBytes;
}

/// Nothing if the notes are not ours, of another content, or broken before the first block. A last
/// line that was cut is left out.
std::optional<Notes> ReadNotes(const fs::path& path) {
  std::ifstream in(path);
  std::string line;
  if (!std::getline(in, line)) return std::nullopt;
  std::istringstream head(line);
  std::string magic;
  Notes notes;
  head >> magic >> notes.size_bytes >> notes.owner.machine >> notes.owner.boot >>
      notes.owner.processes >> notes.owner.process >> notes.owner.started;
  if (!head || magic != kMagic || notes.size_bytes < 0 || notes.size_bytes > (int64_t{1} << 50)) {
    return std::nullopt;
  }
  notes.hashes.resize(static_cast<size_t>(BlockCount(notes.size_bytes)));
  while (std::getline(in, line)) {
    size_t block = 0;
    const char* end = line.data() + line.size();
    const auto [after, error] = std::from_chars(line.data(), end, block);
    if (error != std::errc() || block >= notes.hashes.size()) break;
    const std::string_view hash(after, static_cast<size_t>(end - after));
    if (hash.size() != 1 + kXxh3Digits || hash[0] != ' ') break;
    notes.hashes[block] = hash.substr(1);
  }
  return notes;
}

fs::path NotesOf(const fs::path& part) {
  const std::string name = part.string();
  return name.substr(0, name.size() - kPartSuffix.size()) + std::string(kNotesSuffix);
}

int64_t BlockBytes(int64_t block, int64_t size_bytes) {
  return std::min(PartFile::kBlockBytes, size_bytes - block * PartFile::kBlockBytes);
}

int64_t NotedBytes(const Notes& notes) {
  int64_t bytes = 0;
  for (size_t block = 0; block < notes.hashes.size(); ++block) {
    if (!notes.hashes[block].empty()) {
      bytes += BlockBytes(static_cast<int64_t>(block), notes.size_bytes);
    }
  }
  return bytes;
}

struct Leftover {
  fs::path path;
  Notes notes;
  Life life = Life::kUnknown;
};

/// The part file of that content with the most done blocks which no living process owns.
std::optional<Leftover> FindLeftover(const fs::path& folder, const std::string& etag,
                                     int64_t size_bytes) {
  std::optional<Leftover> best;
  std::error_code error;
  fs::directory_iterator iterator(folder, error);
  for (; !error && iterator != fs::directory_iterator(); iterator.increment(error)) {
    const std::string name = iterator->path().filename().string();
    if (!name.starts_with(etag + ".") || !name.ends_with(kPartSuffix)) continue;
    std::error_code ignored;
    if (!fs::is_regular_file(iterator->symlink_status(ignored))) continue;
    std::optional<Notes> notes = ReadNotes(NotesOf(iterator->path()));
    if (!notes || notes->size_bytes != size_bytes) continue;
    const Life life = LifeOf(notes->owner);
    if (life == Life::kAlive) continue;
    if (best && NotedBytes(best->notes) >= NotedBytes(*notes)) continue;
    best = Leftover{iterator->path(), std::move(*notes), life};
  }
  return best;
}

/// Reads one block of `from` and returns its hash; copies it to `to` if that is not negative. An
/// empty text if it cannot be read.
std::string ReadBlock(int from, int to, int64_t offset_bytes, int64_t block_bytes) {
  std::vector<std::byte> buffer(kReadBytes);
  Xxh3 hash;
  while (block_bytes > 0) {
    const size_t wanted = std::min(buffer.size(), static_cast<size_t>(block_bytes));
    const ssize_t got = ::pread(from, buffer.data(), wanted, offset_bytes);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return "";
    if (to >= 0 && ::pwrite(to, buffer.data(), static_cast<size_t>(got), offset_bytes) != got) {
      return "";
    }
    hash.Update(std::span(buffer).first(static_cast<size_t>(got)));
    offset_bytes += got;
    block_bytes -= got;
  }
  return hash.HexDigest();
}

std::string FreshName(const std::string& etag) {
  std::random_device random;
  return fmt::format("{}.{:08x}{}", etag, static_cast<uint32_t>(random()), kPartSuffix);
}

}  // namespace

PartFile::PartFile(PartFile&& other) noexcept
    : path_(std::move(other.path_)),
      size_bytes_(other.size_bytes_),
      descriptor_(std::exchange(other.descriptor_, -1)),
      notes_(std::exchange(other.notes_, -1)),
      done_(std::move(other.done_)),
      hashes_(std::move(other.hashes_)) {}

PartFile::~PartFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (notes_ >= 0) ::close(notes_);
}

fs::path PartFile::NotesPath() const { return NotesOf(path_); }

int64_t PartFile::done_bytes() const {
  int64_t bytes = 0;
  for (int64_t block = 0; block < block_count(); ++block) {
    if (IsDone(block)) bytes += BlockBytes(block, size_bytes_);
  }
  return bytes;
}

Status PartFile::WriteNotes() {
  if (notes_ >= 0) ::close(notes_);
  const fs::path path = NotesPath();
  notes_ =
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (notes_ < 0) return IoError(Location::File(path.string()), "cannot create the file", errno);
  const Owner me = Myself();
  std::string text = fmt::format("{} {} {} {} {} {} {}\n", kMagic, size_bytes_, me.machine, me.boot,
                                 me.processes, me.process, me.started);
  for (size_t block = 0; block < hashes_.size(); ++block) {
    if (done_[block]) text += fmt::format("{} {}\n", block, hashes_[block]);
  }
  if (::write(notes_, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return IoError(Location::File(path.string()), "cannot write", errno);
  }
  return Status::Ok();
}

PartFile::PartFile(const fs::path& folder, const std::string& etag, int64_t size_bytes)
    : path_(folder / FreshName(etag)), size_bytes_(size_bytes) {
  done_.resize(static_cast<size_t>(BlockCount(size_bytes)));
  hashes_.resize(done_.size());
}

Status PartFile::Create() {
  // The notes first: a part without them is taken for that of another program.
  QEFF_RETURN_IF_ERROR(WriteNotes());
  descriptor_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (descriptor_ >= 0) return Status::Ok();
  return IoError(Location::File(path_.string()), "cannot create the file", errno);
}

bool PartFile::TakeOver(const fs::path& leftover) {
  if (!WriteNotes().ok()) return false;
  // Of several processes that want it, the rename succeeds for one.
  if (::rename(leftover.c_str(), path_.c_str()) != 0) return false;
  std::error_code ignored;
  fs::remove(NotesOf(leftover), ignored);
  descriptor_ = ::open(path_.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  return descriptor_ >= 0;
}

Status PartFile::CheckBlocks(int from, const std::function<void(int64_t)>& advance) {
  bool all_good = true;
  for (size_t block = 0; block < done_.size(); ++block) {
    if (!done_[block]) continue;
    const auto index = static_cast<int64_t>(block);
    const int64_t block_bytes = BlockBytes(index, size_bytes_);
    const int to = from == descriptor_ ? -1 : descriptor_;
    done_[block] = ReadBlock(from, to, index * kBlockBytes, block_bytes) == hashes_[block];
    all_good = all_good && done_[block];
    if (advance) advance(block_bytes);
  }
  return all_good && from == descriptor_ ? Status::Ok() : WriteNotes();
}

Result<PartFile> PartFile::Open(const fs::path& folder, const std::string& etag, int64_t size_bytes,
                                const std::function<void(int64_t)>& advance) {
  PartFile part(folder, etag, size_bytes);
  const std::optional<Leftover> leftover = FindLeftover(folder, etag, size_bytes);
  if (!leftover || NotedBytes(leftover->notes) == 0) {
    QEFF_RETURN_IF_ERROR(part.Create());
    return part;
  }
  const auto claim = [&] {
    part.hashes_ = leftover->notes.hashes;
    for (size_t block = 0; block < part.done_.size(); ++block) {
      part.done_[block] = !part.hashes_[block].empty();
    }
  };
  claim();
  if (leftover->life == Life::kGone && part.TakeOver(leftover->path)) {
    QEFF_RETURN_IF_ERROR(part.CheckBlocks(part.descriptor_, advance));
    return part;
  }
  std::fill(part.done_.begin(), part.done_.end(), false);
  QEFF_RETURN_IF_ERROR(part.Create());
  const int from = ::open(leftover->path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (from < 0) return part;
  claim();
  Status status = part.CheckBlocks(from, advance);
  ::close(from);
  if (!status.ok()) return status;
  return part;
}

int64_t PartFile::BytesToKeep(const fs::path& folder, const std::string& etag, int64_t size_bytes) {
  const std::optional<Leftover> leftover = FindLeftover(folder, etag, size_bytes);
  return leftover ? NotedBytes(leftover->notes) : 0;
}

Status PartFile::Write(int64_t offset_bytes, const void* data, size_t data_bytes) {
  const char* from = static_cast<const char*>(data);
  while (data_bytes > 0) {
    const ssize_t written = ::pwrite(descriptor_, from, data_bytes, offset_bytes);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      return IoError(Location::Byte(path_.string(), offset_bytes), "cannot write", errno,
                     {"free space on that file system and run this again; it goes on from here"});
    }
    from += written;
    offset_bytes += written;
    data_bytes -= static_cast<size_t>(written);
  }
  return Status::Ok();
}

void PartFile::MarkDone(int64_t block, const std::string& xxh3) {
  done_[static_cast<size_t>(block)] = true;
  hashes_[static_cast<size_t>(block)] = xxh3;
  const std::string line = fmt::format("{} {}\n", block, xxh3);
  [[maybe_unused]] const ssize_t ignored = ::write(notes_, line.data(), line.size());
}

Status PartFile::Restart() {
  std::fill(done_.begin(), done_.end(), false);
  if (::ftruncate(descriptor_, 0) != 0) {
    return IoError(Location::File(path_.string()), "cannot truncate the file", errno);
  }
  return WriteNotes();
}

Status PartFile::Sync() {
  if (::fdatasync(descriptor_) == 0) return Status::Ok();
  return IoError(Location::File(path_.string()), "cannot write to the disk", errno);
}

Status PartFile::Publish(const fs::path& target) {
  struct stat info {};
  if (::rename(path_.c_str(), target.c_str()) != 0) {
    // Another process may have published the same content, and tidied up.
    const bool was_tidied = errno == ENOENT && ::stat(target.c_str(), &info) == 0 &&
                            S_ISREG(info.st_mode) && info.st_size == size_bytes_;
    if (was_tidied) return Status::Ok();
    return IoError(Location::File(target.string()), "cannot rename the file", errno);
  }
  std::error_code ignored;
  fs::remove(NotesPath(), ignored);
  return Status::Ok();
}

void PartFile::Discard() {
  std::error_code ignored;
  fs::remove(path_, ignored);
  fs::remove(NotesPath(), ignored);
}

void RemoveLeftovers(const fs::path& folder, const std::string& etag) {
  std::error_code error;
  fs::directory_iterator iterator(folder, error);
  for (; !error && iterator != fs::directory_iterator(); iterator.increment(error)) {
    const std::string name = iterator->path().filename().string();
    if (!name.starts_with(etag + ".") || !name.ends_with(kNotesSuffix)) continue;
    const std::optional<Notes> notes = ReadNotes(iterator->path());
    if (notes && LifeOf(notes->owner) == Life::kAlive) continue;
    fs::path part = iterator->path();
    std::error_code ignored;
    fs::remove(part.replace_extension(kPartSuffix), ignored);
    fs::remove(iterator->path(), ignored);
  }
}

bool IsAbandoned(const fs::path& path) {
  const std::optional<Notes> notes = ReadNotes(NotesOf(path));
  return !notes || LifeOf(notes->owner) != Life::kAlive;
}

}  // namespace qeff::hub
