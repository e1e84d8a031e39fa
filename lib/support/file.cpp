// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/support/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "lib/support/atomic_file.h"

namespace qeff {
namespace {

constexpr size_t kPageBytes = 4096;

/// A descriptor that closes itself.
struct Descriptor {
  int value = -1;
  ~Descriptor() {
    if (value >= 0) ::close(value);
  }
};

}  // namespace

Result<MappedFile> MappedFile::Open(const std::filesystem::path& path) {
  // O_NONBLOCK: opening a FIFO must fail below, not hang here.
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.value < 0) return IoError(Location::File(path.string()), "cannot open the file", errno);
  return OpenDescriptor(file.value, path.string());
}

Result<MappedFile> MappedFile::OpenDescriptor(int descriptor, std::string path) {
  struct stat info {};
  if (::fstat(descriptor, &info) != 0) {
    return IoError(Location::File(path), "cannot read the file's size", errno);
  }
  if (!S_ISREG(info.st_mode)) return IoError(Location::File(path), "not a regular file");
  MappedFile mapped;
  mapped.path_ = std::move(path);
  mapped.size_bytes_ = static_cast<size_t>(info.st_size);
  if (mapped.size_bytes_ > 0) {
    void* data = ::mmap(nullptr, mapped.size_bytes_, PROT_READ, MAP_SHARED, descriptor, 0);
    if (data == MAP_FAILED) {
      mapped.size_bytes_ = 0;
      return IoError(Location::File(mapped.path_), "cannot map the file", errno);
    }
    mapped.data_ = static_cast<std::byte*>(data);
  }
  return mapped;
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_bytes_(std::exchange(other.size_bytes_, 0)),
      path_(std::move(other.path_)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_bytes_, other.size_bytes_);
  std::swap(path_, other.path_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(data_, size_bytes_);
}

void MappedFile::Release(size_t offset_bytes, size_t size_bytes) const {
  const size_t begin = (offset_bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
  const size_t end = std::min(offset_bytes + size_bytes, size_bytes_) / kPageBytes * kPageBytes;
  if (begin < end) ::madvise(data_ + begin, end - begin, MADV_DONTNEED);
}

void MappedFile::WillNeed(size_t offset_bytes, size_t size_bytes) const {
  const size_t begin = offset_bytes / kPageBytes * kPageBytes;
  const size_t end = std::min(offset_bytes + size_bytes, size_bytes_);
  if (begin < end) ::madvise(data_ + begin, end - begin, MADV_WILLNEED);
}

Result<std::string> ReadSmallFile(const std::filesystem::path& path, size_t limit_bytes) {
  QEFF_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
  if (file.bytes().size() > limit_bytes) {
    return InvalidInput(
        Location::File(path.string()),
        fmt::format("file has {} bytes, at most {} are read", file.bytes().size(), limit_bytes));
  }
  return std::string(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
}

Status WriteFileAtomically(const std::filesystem::path& path, std::string_view content) {
  return WriteFileAtomically(path, [content](FileWriter& writer) {
    return writer.Append(std::as_bytes(std::span(content)));
  });
}

Result<FileWriter> FileWriter::Create(const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (descriptor < 0)
    return IoError(Location::File(path.string()), "cannot create the file", errno);
  return FileWriter(descriptor, path.string());
}

FileWriter::FileWriter(FileWriter&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      path_(std::move(other.path_)),
      offset_bytes_(other.offset_bytes_) {}

FileWriter::~FileWriter() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Status FileWriter::Append(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      return IoError(Location::Byte(path_, offset_bytes_), "cannot write", errno,
                     {"free space on that file system, or choose another output folder with -o"});
    }
    offset_bytes_ += written;
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return Status::Ok();
}

Status FileWriter::AlignTo(size_t alignment_bytes) {
  static constexpr std::array<std::byte, kPageBytes> kZeros{};
  size_t missing =
      (alignment_bytes - static_cast<size_t>(offset_bytes_) % alignment_bytes) % alignment_bytes;
  while (missing > 0) {
    const size_t piece = std::min(missing, kZeros.size());
    QEFF_RETURN_IF_ERROR(Append(std::span(kZeros).first(piece)));
    missing -= piece;
  }
  return Status::Ok();
}

Status FileWriter::Close() {
  const int descriptor = std::exchange(descriptor_, -1);
  if (descriptor >= 0 && ::close(descriptor) != 0) {
    return IoError(Location::File(path_), "cannot close the file", errno);
  }
  return Status::Ok();
}

}  // namespace qeff
