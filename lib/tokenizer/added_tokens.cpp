// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/tokenizer/added_tokens.h"

#include <algorithm>

#include "lib/tokenizer/config_node.h"
#include "lib/tokenizer/unicode.h"

namespace qeff {
namespace {

/// The search takes up to this many steps for each byte of text; real tokens have some dozens.
constexpr size_t kMaxTokenBytes = 4096;

char32_t LastCharacter(std::string_view text) {
  size_t position = text.size() - 1;
  while ((text[position] & 0xC0) == 0x80) --position;
  return NextCharacter(text, position);
}

char32_t FirstCharacter(std::string_view text) {
  size_t position = 0;
  return NextCharacter(text, position);
}

}  // namespace

Result<AddedTokens> AddedTokens::FromConfig(const ConfigNode& node, const Vocabulary& vocabulary,
                                            const Normalizer* normalizer) {
  AddedTokens added;
  QEFF_ASSIGN_OR_RETURN(const std::vector<ConfigNode> elements, node.Elements());
  for (const ConfigNode& element : elements) {
    QEFF_RETURN_IF_ERROR(added.Add(element, vocabulary));
  }
  QEFF_RETURN_IF_ERROR(added.MakeTries(normalizer));
  return added;
}

Status AddedTokens::Add(const ConfigNode& node, const Vocabulary& vocabulary) {
  AddedToken token;
  const ConfigNode id_node = node.Member("id");
  QEFF_ASSIGN_OR_RETURN(token.id, id_node.Integer(0, INT32_MAX));
  QEFF_ASSIGN_OR_RETURN(token.content, node.Member("content").String());
  QEFF_ASSIGN_OR_RETURN(token.is_single_word, node.Member("single_word").BooleanOr(false));
  QEFF_ASSIGN_OR_RETURN(token.takes_space_before, node.Member("lstrip").BooleanOr(false));
  QEFF_ASSIGN_OR_RETURN(token.takes_space_behind, node.Member("rstrip").BooleanOr(false));
  QEFF_ASSIGN_OR_RETURN(token.is_special, node.Member("special").BooleanOr(false));
  QEFF_ASSIGN_OR_RETURN(token.is_normalized,
                        node.Member("normalized").BooleanOr(!token.is_special));
  if (token.content.empty()) return Status::Ok();  // as in the reference: it is never found
  if (token.content.size() > kMaxTokenBytes) {
    return node.Member("content").Expected(
        fmt::format("a token of at most {} bytes", kMaxTokenBytes));
  }
  const auto in_vocabulary = vocabulary.Find(token.content);
  if (in_vocabulary.has_value() && *in_vocabulary != token.id) {
    return id_node.Expected(
        fmt::format("{}, the id of '{}' in the vocabulary", *in_vocabulary, token.content));
  }
  const auto twin = vocabulary.Token(token.id);
  if (twin.has_value() && *twin != token.content) {
    return id_node.Expected(
        fmt::format("an id for '{}' that is not the one of '{}'", token.content, *twin));
  }
  const size_t index = tokens_.size();
  const auto [same_content, is_new_content] = by_content_.emplace(token.content, index);
  const auto [same_id, is_new_id] = by_id_.emplace(token.id, index);
  if (!is_new_id || !is_new_content) {
    if (same_id->second == same_content->second) return Status::Ok();  // the same token again
    const AddedToken& other = tokens_[is_new_id ? same_content->second : same_id->second];
    return id_node.Expected(fmt::format("an id for '{}' of its own: '{}' has id {}", token.content,
                                        other.content, other.id));
  }
  largest_id_ = std::max(largest_id_, token.id);
  tokens_.push_back(std::move(token));
  return Status::Ok();
}

Status AddedTokens::MakeTries(const Normalizer* normalizer) {
  std::vector<std::string> normalized(tokens_.size());
  std::vector<std::pair<std::string_view, int64_t>> text_entries;
  std::vector<std::pair<std::string_view, int64_t>> normalized_entries;
  for (size_t i = 0; i < tokens_.size(); ++i) {
    const auto value = static_cast<int64_t>(i);
    if (!tokens_[i].is_normalized) {
      text_entries.emplace_back(tokens_[i].content, value);
      continue;
    }
    Piece piece{.text = tokens_[i].content};
    if (normalizer != nullptr) QEFF_RETURN_IF_ERROR(normalizer->Apply(piece));
    normalized[i] = std::move(piece.text);
    normalized_entries.emplace_back(normalized[i], value);
  }
  text_trie_ = ByteTrie(std::move(text_entries));
  normalized_trie_ = ByteTrie(std::move(normalized_entries));
  return Status::Ok();
}

std::vector<Piece> AddedTokens::SplitText(std::string_view text, bool parse_special) const {
  std::vector<Piece> pieces;
  Split(text_trie_, {.text = std::string(text), .is_at_start = true}, parse_special, pieces);
  return pieces;
}

void AddedTokens::SplitNormalized(Piece piece, bool parse_special,
                                  std::vector<Piece>& pieces) const {
  if (normalized_trie_.empty()) {
    if (!piece.text.empty()) pieces.push_back(std::move(piece));
    return;
  }
  Split(normalized_trie_, piece, parse_special, pieces);
}

void AddedTokens::Split(const ByteTrie& trie, const Piece& piece, bool parse_special,
                        std::vector<Piece>& pieces) const {
  const std::string_view text = piece.text;
  size_t done = 0;
  const auto add_text = [&](size_t end) {
    if (end <= done) return;
    pieces.push_back({.text = std::string(text.substr(done, end - done)),
                      .is_at_start = piece.is_at_start && done == 0});
  };
  for (size_t at = 0; at < text.size();) {
    size_t length = 0;
    int64_t index = 0;
    trie.VisitPrefixes(text.substr(at), [&](size_t length_bytes, int64_t value) {
      length = length_bytes;  // the longest comes last
      index = value;
    });
    if (length == 0) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens_[static_cast<size_t>(index)];
    size_t begin = at;
    size_t end = at + length;
    at = end;  // what is inside a token that does not count is not looked at again
    if (token.is_special && !parse_special) continue;
    if (token.is_single_word && ((begin > 0 && IsWord(LastCharacter(text.substr(0, begin)))) ||
                                 (end < text.size() && IsWord(FirstCharacter(text.substr(end)))))) {
      continue;
    }
    while (token.takes_space_before && begin > done &&
           IsWhiteSpace(LastCharacter(text.substr(0, begin)))) {
      do --begin;
      while ((text[begin] & 0xC0) == 0x80);
    }
    while (token.takes_space_behind && end < text.size() &&
           IsWhiteSpace(FirstCharacter(text.substr(end)))) {
      end += CharacterBytes(text[end]);
    }
    add_text(begin);
    pieces.push_back({.token_id = token.id});
    done = end;
    at = std::max(at, end);
  }
  add_text(text.size());
}

std::optional<std::string_view> AddedTokens::Token(int64_t id) const {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return std::nullopt;
  return tokens_[found->second].content;
}

std::optional<int64_t> AddedTokens::Find(std::string_view content) const {
  const auto found = by_content_.find(std::string(content));
  if (found == by_content_.end()) return std::nullopt;
  return tokens_[found->second].id;
}

bool AddedTokens::IsSpecial(int64_t id) const {
  const auto found = by_id_.find(id);
  return found != by_id_.end() && tokens_[found->second].is_special;
}

}  // namespace qeff
