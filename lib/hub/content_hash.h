// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The hashes by which a hub names contents: SHA-256 of large files, and SHA-1 as git computes it of
// small ones ("blob <bytes>\0" and the content).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "lib/support/status.h"

namespace qeff::hub {

/// Hash of a content that comes in pieces.
class ContentHash {
 public:
  /// The kind follows from `expected`: 64 hex digits are SHA-256, 40 are git's SHA-1 of a content
  /// of `size_bytes`. Requires one of them (IsContentHash).
  ContentHash(std::string_view expected, int64_t size_bytes);
  ~ContentHash();
  ContentHash(ContentHash&&) noexcept;
  ContentHash& operator=(ContentHash&&) noexcept;
  void Update(std::span<const std::byte> data);
  /// Returns lower-case hex digits. Call once.
  std::string HexDigest();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Returns the hash of the file's content, of the kind of `expected`. Calls `advance`, if it is
/// set, with the bytes of each piece. Errors: kIo.
Result<std::string> HashFile(const std::filesystem::path& path, std::string_view expected,
                             const std::function<void(int64_t)>& advance = {});

}  // namespace qeff::hub
