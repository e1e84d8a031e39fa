// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Hashes: SHA-256 for small files and cache keys (as hubs and QEfficient use it), XXH3-128 for
// weight data taken while it is written or mapped (memory-bandwidth fast, not cryptographic).
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace qeff {

/// Returns 64 lower-case hex digits.
std::string Sha256Hex(std::string_view data);

/// SHA-256 of data that comes in pieces.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  void Update(std::span<const std::byte> data);
  /// Call once.
  std::string HexDigest();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// XXH3-128 of data that comes in pieces; 32 lower-case hex digits.
class Xxh3 {
 public:
  Xxh3();
  ~Xxh3();
  Xxh3(Xxh3&&) noexcept;
  void Update(std::span<const std::byte> data);
  std::string HexDigest() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace qeff
