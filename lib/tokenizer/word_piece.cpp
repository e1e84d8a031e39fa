// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// WordPiece: a word is cut from the left into the longest tokens of the vocabulary; those behind
// the first carry a prefix. A word that cannot be cut up, or is too long, is the unknown token.
#include <algorithm>

#include "lib/tokenizer/config_node.h"
#include "lib/tokenizer/model.h"
#include "lib/tokenizer/unicode.h"

namespace qeff {
namespace {

class WordPiece final : public Model {
 public:
  static Result<std::unique_ptr<Model>> Make(const ConfigNode& node) {
    auto model = std::make_unique<WordPiece>();
    model->file_ = node.file();
    const ConfigNode vocabulary = node.Member("vocab");
    QEFF_ASSIGN_OR_RETURN(const auto entries, vocabulary.TokenIds());
    QEFF_ASSIGN_OR_RETURN(model->vocabulary_, Vocabulary::Make(entries, vocabulary));
    QEFF_ASSIGN_OR_RETURN(const std::string unknown, node.Member("unk_token").StringOr("[UNK]"));
    model->unknown_id_ = model->vocabulary_.Find(unknown);
    QEFF_ASSIGN_OR_RETURN(model->prefix_, node.Member("continuing_subword_prefix").StringOr("##"));
    constexpr int64_t kDefaultCharacters = 100;
    QEFF_ASSIGN_OR_RETURN(
        model->max_characters_,
        node.Member("max_input_chars_per_word").IntegerOr(0, INT64_MAX, kDefaultCharacters));
    return {std::move(model)};
  }

  Status Encode(std::string_view word, std::vector<int64_t>& ids) const override {
    const size_t first = ids.size();
    bool is_known = static_cast<int64_t>(CountCharacters(word)) <= max_characters_;
    for (size_t begin = 0; is_known && begin < word.size();) {
      const size_t length = TakeLongest(word.substr(begin), begin > 0, ids);
      is_known = length > 0;
      begin += length;
    }
    if (is_known) return Status::Ok();
    if (!unknown_id_.has_value()) return NoUnknownToken(word);
    ids.resize(first);
    ids.push_back(*unknown_id_);
    return Status::Ok();
  }

 private:
  /// Appends the id of the longest token that `rest` starts with; returns its length in bytes, 0 if
  /// there is none.
  size_t TakeLongest(std::string_view rest, bool has_prefix, std::vector<int64_t>& ids) const {
    // No token is longer, so that a long word takes no quadratic time.
    size_t end = std::min(rest.size(), vocabulary_.largest_token_bytes());
    std::string text(has_prefix ? prefix_ : "");
    const size_t prefix_bytes = text.size();
    text += rest.substr(0, end);
    for (; end > 0; --end) {
      const bool is_cut = end < rest.size() && (rest[end] & 0xC0) == 0x80;
      if (is_cut) continue;
      text.resize(prefix_bytes + end);
      if (const auto id = vocabulary_.Find(text)) {
        ids.push_back(*id);
        return end;
      }
    }
    return 0;
  }

  std::string prefix_;
  int64_t max_characters_ = 0;
};

}  // namespace

Result<std::unique_ptr<Model>> MakeWordPiece(const ConfigNode& node) {
  return WordPiece::Make(node);
}

}  // namespace qeff
