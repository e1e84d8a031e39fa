// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The "added_tokens" of tokenizer.json: tokens that are found in the text before the model sees it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "lib/support/status.h"
#include "lib/tokenizer/byte_trie.h"
#include "lib/tokenizer/normalizer.h"
#include "lib/tokenizer/piece.h"
#include "lib/tokenizer/vocabulary.h"

namespace qeff {

class ConfigNode;

class AddedTokens {
 public:
  AddedTokens() = default;
  /// `vocabulary` is the model's; `normalizer` may be null. Errors: kInvalidInput if a token's id
  /// contradicts the vocabulary or another added token.
  static Result<AddedTokens> FromConfig(const ConfigNode& node, const Vocabulary& vocabulary,
                                        const Normalizer* normalizer);

  /// Cuts `text` at the tokens that are found in it as it is; without `parse_special` special ones
  /// stay text.
  std::vector<Piece> SplitText(std::string_view text, bool parse_special) const;
  /// Appends the parts of a normalized piece, cut at the tokens that are found after normalization.
  void SplitNormalized(Piece piece, bool parse_special, std::vector<Piece>& pieces) const;

  std::optional<std::string_view> Token(int64_t id) const;
  std::optional<int64_t> Find(std::string_view content) const;
  bool IsSpecial(int64_t id) const;
  int64_t largest_id() const { return largest_id_; }

 private:
  struct AddedToken {
    int64_t id = 0;
    std::string content;
    bool is_single_word = false;  ///< only where no word character stands beside it
    bool takes_space_before = false;
    bool takes_space_behind = false;
    bool is_normalized = false;  ///< found after normalization, in its normalized form
    bool is_special = false;
  };
  Status Add(const ConfigNode& node, const Vocabulary& vocabulary);
  Status MakeTries(const Normalizer* normalizer);
  void Split(const ByteTrie& trie, const Piece& piece, bool parse_special,
             std::vector<Piece>& pieces) const;

  std::vector<AddedToken> tokens_;
  std::unordered_map<int64_t, size_t> by_id_;
  std::unordered_map<std::string, size_t> by_content_;
  int64_t largest_id_ = -1;
  ByteTrie text_trie_;  ///< values are indices into tokens_
  ByteTrie normalized_trie_;
};

}  // namespace qeff
