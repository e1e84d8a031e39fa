// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/tokenizer/token_spans.h"

#include <algorithm>
#include <charconv>

#include "lib/tokenizer/byte_level.h"
#include "lib/tokenizer/config_node.h"
#include "lib/tokenizer/unicode.h"

namespace qeff {
namespace {

constexpr std::string_view kMetaspace = "\xE2\x96\x81";  // U+2581 stands for a space

/// The component at `node` and those that it is a sequence of.
Result<std::vector<ConfigNode>> Components(const ConfigNode& node, std::string_view list) {
  QEFF_ASSIGN_OR_RETURN(const std::string type, node.Member("type").StringOr(""));
  if (type == "Sequence") return node.Member(list).Elements();
  return std::vector<ConfigNode>{node};
}

/// What a token stands for in the text, as bytes.
std::string Spelling(std::string_view token, const SpanRules& rules) {
  if (rules.has_byte_symbols) return SymbolsToBytes(token).value_or(std::string(token));
  if (!rules.word_part_prefix.empty() && token.starts_with(rules.word_part_prefix))
    token.remove_prefix(rules.word_part_prefix.size());
  constexpr size_t kByteTokenSize = 6;  // "<0x0A>"
  if (token.size() == kByteTokenSize && token.starts_with("<0x") && token.ends_with('>')) {
    int byte = 0;
    const auto [rest, error] = std::from_chars(token.data() + 3, token.data() + 5, byte, 16);
    if (error == std::errc() && rest == token.data() + 5)
      return std::string(1, static_cast<char>(byte));
  }
  std::string text(token);
  for (size_t at = text.find(kMetaspace); at != text.npos; at = text.find(kMetaspace, at))
    text.replace(at, kMetaspace.size(), " ");
  return text;
}

class Aligner {
 public:
  Aligner(std::string_view text, const SpanRules& rules,
          const std::function<std::string(std::string_view)>& normalize)
      : rules_(rules) {
    int64_t index = 0;
    for (size_t position = 0; position < text.size(); ++index) {
      const size_t begin = position;
      const char32_t character = NextCharacter(text, position);
      std::string normal(text.substr(begin, position - begin));
      if (!rules.has_byte_symbols) {
        normal = IsWhiteSpace(character) ? " " : normalize(normal);
        // Some normalizers put this before every text.
        if (normal.size() > kMetaspace.size() && normal.starts_with(kMetaspace))
          normal.erase(0, kMetaspace.size());
      }
      text_ += normal;
      characters_.insert(characters_.end(), normal.size(), index);
    }
    characters_.push_back(index);  // of the end
  }

  std::vector<TokenSpan> Run(const std::vector<std::optional<std::string>>& tokens) {
    spans_.resize(tokens.size());
    for (size_t i = 0; i < tokens.size(); ++i) {
      if (!tokens[i] || !Place(i, Spelling(*tokens[i], rules_))) unplaced_.push_back(i);
    }
    PlaceBetween(text_.size());
    return std::move(spans_);
  }

 private:
  bool IsSpaceAt(size_t at) const {
    return at < text_.size() && (text_[at] == ' ' || (text_[at] >= '\t' && text_[at] <= '\r'));
  }

  /// Of bytes as symbols, a tab or a line end is as good as a letter.
  bool IsLeftOutAt(size_t at) const {
    return rules_.leaves_out_spaces && (rules_.has_byte_symbols ? text_[at] == ' ' : IsSpaceAt(at));
  }

  /// Bytes [begin, end) of the normalized text.
  void Set(size_t token, size_t begin, size_t end) {
    while (begin < end && IsLeftOutAt(begin)) ++begin;
    while (begin < end && IsLeftOutAt(end - 1)) --end;
    spans_[token].begin = characters_[begin];
    spans_[token].end = begin < end ? characters_[end - 1] + 1 : characters_[begin];
  }

  /// Looks for the spelling from where the last token ended; false if it is not there.
  bool Place(size_t token, std::string_view spelling) {
    size_t begin = position_;
    if (text_.compare(begin, spelling.size(), spelling) != 0) {
      // Spaces may be in the text alone, or in the spelling alone.
      while (spelling.starts_with(' ')) spelling.remove_prefix(1);
      while (IsSpaceAt(begin)) ++begin;
      if (text_.compare(begin, spelling.size(), spelling) != 0) {
        // Something was left out, or belongs to tokens that spell nothing.
        constexpr size_t kFarthest = 256;
        begin = spelling.empty() ? text_.npos : text_.find(spelling, begin);
        if (begin == text_.npos || begin - position_ > kFarthest) return false;
      }
    }
    PlaceBetween(begin);
    Set(token, begin, begin + spelling.size());
    position_ = begin + spelling.size();
    return true;
  }

  /// Gives the words up to `end` to the tokens that have no place yet, the rest to the last one.
  void PlaceBetween(size_t end) {
    size_t begin = position_;
    for (const size_t token : unplaced_) {
      while (begin < end && IsSpaceAt(begin)) ++begin;
      size_t stop = end;
      while (stop > begin && IsSpaceAt(stop - 1)) --stop;
      if (token != unplaced_.back()) {
        size_t word_end = begin;
        while (word_end < stop && !IsSpaceAt(word_end)) ++word_end;
        stop = word_end;
      }
      Set(token, begin, stop);
      begin = stop;
    }
    unplaced_.clear();
  }

  const SpanRules& rules_;
  std::string text_;                 ///< normalized character by character
  std::vector<int64_t> characters_;  ///< of the original text, for each byte of text_
  size_t position_ = 0;
  std::vector<TokenSpan> spans_;
  std::vector<size_t> unplaced_;  ///< tokens since the last one that has a place
};

}  // namespace

Result<SpanRules> SpanRulesFromConfig(const ConfigNode& root) {
  SpanRules rules;
  QEFF_ASSIGN_OR_RETURN(rules.word_part_prefix,
                        root.Member("model").Member("continuing_subword_prefix").StringOr(""));
  QEFF_ASSIGN_OR_RETURN(const auto splitters,
                        Components(root.Member("pre_tokenizer"), "pretokenizers"));
  for (const ConfigNode& node : splitters) {
    QEFF_ASSIGN_OR_RETURN(const std::string type, node.Member("type").StringOr(""));
    rules.has_byte_symbols |= type == "ByteLevel";
    rules.leaves_out_spaces |=
        type == "BertPreTokenizer" || type == "Whitespace" || type == "WhitespaceSplit";
  }
  QEFF_ASSIGN_OR_RETURN(const auto processors,
                        Components(root.Member("post_processor"), "processors"));
  for (const ConfigNode& node : processors) {
    QEFF_ASSIGN_OR_RETURN(const std::string type, node.Member("type").StringOr(""));
    if (type != "RobertaProcessing" && type != "ByteLevel") continue;
    QEFF_ASSIGN_OR_RETURN(const bool trims, node.Member("trim_offsets").BooleanOr(true));
    rules.leaves_out_spaces |= trims;
  }
  return rules;
}

std::vector<TokenSpan> AlignTokens(std::string_view text,
                                   const std::vector<std::optional<std::string>>& tokens,
                                   const SpanRules& rules,
                                   const std::function<std::string(std::string_view)>& normalize) {
  return Aligner(text, rules, normalize).Run(tokens);
}

}  // namespace qeff
