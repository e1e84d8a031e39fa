// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Zeroed memory straight from the system: pages appear when they are first touched, large pages are
// asked for, and everything can be set to zero again without writing.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "lib/support/status.h"

namespace qeff::cpu {

class Memory {
 public:
  /// Errors: kIo if the system has no such range; `what` names it.
  static Result<Memory> Allocate(size_t size_bytes, std::string_view what);
  Memory() = default;
  Memory(Memory&& other) noexcept;
  Memory& operator=(Memory&& other) noexcept;
  ~Memory();

  /// Page-aligned; null if empty.
  std::byte* data() const { return data_; }
  size_t size_bytes() const { return size_bytes_; }
  /// Makes every byte zero.
  void Clear();

 private:
  std::byte* data_ = nullptr;
  size_t size_bytes_ = 0;
};

/// Asks for large pages for a range of mapped memory. A wish: refusal changes speed only.
void AskForLargePages(std::span<const std::byte> range);

}  // namespace qeff::cpu
