// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Tokens and ids, both ways. Ids may have gaps; memory depends on the number of tokens only.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "lib/support/status.h"

namespace qeff {

class ConfigNode;

class Vocabulary {
 public:
  Vocabulary() = default;
  /// Copies the tokens. Of equal tokens the last one is found by its text. Errors: kInvalidInput at
  /// `where` if two tokens have one id.
  static Result<Vocabulary> Make(std::span<const std::pair<std::string_view, int64_t>> entries,
                                 const ConfigNode& where);

  std::optional<int64_t> Find(std::string_view token) const;
  std::optional<std::string_view> Token(int64_t id) const;
  int64_t largest_id() const { return by_id_.empty() ? -1 : by_id_.back().id; }
  size_t largest_token_bytes() const { return largest_token_bytes_; }

 private:
  struct Entry {
    int64_t id;
    std::string_view token;  ///< into text_
  };
  std::vector<char> text_;
  std::vector<Entry> by_id_;  ///< ascending ids
  std::unordered_map<std::string_view, int64_t> by_token_;
  size_t largest_token_bytes_ = 0;
};

}  // namespace qeff
