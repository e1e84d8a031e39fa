// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// SentencePiece's "precompiled charsmap": a table of replacements for short strings, as a double
// array (darts-clone's layout) and the texts that it points to.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/support/status.h"

namespace qeff {

class ConfigNode;

class PrecompiledMap {
 public:
  /// Reads base64 of: u32 size in bytes of the array, the array (u32 little-endian), the texts,
  /// each closed by a zero byte. An absent node gives an empty map. Errors: kInvalidInput if it is
  /// damaged.
  static Result<PrecompiledMap> FromConfig(const ConfigNode& node);

  /// Returns `text` with each grapheme cluster of less than 6 bytes replaced as a whole if the map
  /// has an entry for its start, else each of its characters that the map has. That rule, odd as it
  /// is, is the reference's. Requires valid UTF-8.
  std::string Apply(std::string_view text) const;
  /// Returns `text` with the longest entry at each place replaced: SentencePiece's own rule.
  std::string ApplyLongest(std::string_view text) const;

 private:
  PrecompiledMap() = default;
  /// Calls visit(length_bytes, replacement) for the entries that `text` starts with, shortest
  /// first, until it returns false.
  template <typename Visit>
  void VisitPrefixes(std::string_view text, Visit visit) const;
  /// Returns the replacement of the shortest entry that `text` starts with.
  std::optional<std::string_view> Find(std::string_view text) const;

  std::vector<uint32_t> units_;
  std::string texts_;  ///< ends in a zero byte
};

}  // namespace qeff
