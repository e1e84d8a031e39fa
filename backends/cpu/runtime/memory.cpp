// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/runtime/memory.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

namespace qeff::cpu {

Result<Memory> Memory::Allocate(size_t size_bytes, std::string_view what) {
  Memory memory;
  if (size_bytes == 0) return memory;
  void* data =
      mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) {
    return IoError({.tensor = std::string(what)},
                   fmt::format("cannot allocate {} bytes", size_bytes), errno,
                   {"compile for a shorter context or a smaller batch"});
  }
  memory.data_ = static_cast<std::byte*>(data);
  memory.size_bytes_ = size_bytes;
  AskForLargePages({memory.data_, size_bytes});
  return memory;
}

Memory::Memory(Memory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_bytes_(std::exchange(other.size_bytes_, 0)) {}

Memory& Memory::operator=(Memory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_bytes_, other.size_bytes_);
  return *this;
}

Memory::~Memory() {
  if (data_ != nullptr) munmap(data_, size_bytes_);
}

void Memory::Clear() {
  if (data_ == nullptr) return;
  if (madvise(data_, size_bytes_, MADV_DONTNEED) != 0) std::memset(data_, 0, size_bytes_);
}

void AskForLargePages(std::span<const std::byte> range) {
  constexpr uintptr_t kPageBytes = 4096;
  const auto begin = reinterpret_cast<uintptr_t>(range.data()) / kPageBytes * kPageBytes;
  const auto end = reinterpret_cast<uintptr_t>(range.data()) + range.size();
  madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
}

}  // namespace qeff::cpu
