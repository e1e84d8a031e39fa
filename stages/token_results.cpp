// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "stages/token_results.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace qeff::stages {
namespace {

/// The probability of `logits[at]` among all.
float Probability(std::span<const float> logits, size_t at) {
  const float largest = *std::ranges::max_element(logits);
  float sum = 0;
  for (const float logit : logits) sum += std::exp(logit - largest);
  return std::exp(logits[at] - largest) / sum;
}

/// Characters [begin, end) of `text`.
std::string_view Slice(std::string_view text, TokenSpan span) {
  size_t begin = 0;
  size_t end = text.size();
  int64_t character = 0;
  for (size_t i = 0; i <= text.size(); ++i) {
    const bool continues = i < text.size() && (static_cast<unsigned char>(text[i]) & 0xC0) == 0x80;
    if (continues) continue;
    if (character == span.begin) begin = i;
    if (character == span.end) end = i;
    ++character;
  }
  return text.substr(begin, end - begin);
}

/// A label in its parts: "B-PER" begins "PER", "I-PER" and "PER" go on with it.
struct Tag {
  bool begins;
  std::string_view name;
};

Tag TagOf(std::string_view label) {
  if (label.starts_with("B-")) return {true, label.substr(2)};
  if (label.starts_with("I-")) return {false, label.substr(2)};
  return {false, label};
}

/// One of each token that is not special, "O" as well.
Result<std::vector<Entity>> OfTokens(const Tokenizer& tokenizer,
                                     const std::vector<std::string>& labels,
                                     const EncodedRow& row) {
  const Encoding& encoding = row.encoding;
  std::vector<int64_t> ids;
  std::vector<Entity> entities;
  for (size_t i = 0; i < encoding.ids.size(); ++i) {
    if (encoding.special_tokens_mask[i] != 0) continue;
    const auto logits = row.values.subspan(i * labels.size(), labels.size());
    const auto best = static_cast<size_t>(std::ranges::max_element(logits) - logits.begin());
    ids.push_back(encoding.ids[i]);
    entities.push_back({.label = labels[best],
                        .score = Probability(logits, best),
                        .index = static_cast<int64_t>(i),
                        .word = tokenizer.IdToToken(encoding.ids[i]).value_or(""),
                        .span = {}});
  }
  QEFF_ASSIGN_OR_RETURN(const std::vector<TokenSpan> spans, tokenizer.Spans(row.text, ids));
  for (size_t i = 0; i < entities.size(); ++i) {
    entities[i].span = spans[i];
    if (ids[i] == tokenizer.unk_id()) entities[i].word = Slice(row.text, spans[i]);
  }
  return entities;
}

/// The text of tokens that stand side by side; unknown ones as the user wrote them.
Result<std::string> TextOf(const Tokenizer& tokenizer, const Encoding& encoding,
                           std::span<const Entity> tokens) {
  std::vector<int64_t> ids;
  for (const Entity& token : tokens) ids.push_back(encoding.ids[static_cast<size_t>(token.index)]);
  QEFF_ASSIGN_OR_RETURN(std::string text, tokenizer.Decode(ids, {}));
  const std::string unknown = tokenizer.IdToToken(tokenizer.unk_id().value_or(-1)).value_or("");
  size_t at = 0;
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] != tokenizer.unk_id()) continue;
    at = text.find(unknown, at);
    if (at == text.npos) break;
    text.replace(at, unknown.size(), tokens[i].word);
    at += tokens[i].word.size();
  }
  return text;
}

Result<std::vector<Entity>> Grouped(const Tokenizer& tokenizer, const Encoding& encoding,
                                    std::span<const Entity> tokens) {
  std::vector<Entity> groups;
  for (size_t begin = 0, end = 0; begin < tokens.size(); begin = end) {
    const std::string_view name = TagOf(tokens[begin].label).name;
    float sum = 0;
    for (end = begin; end < tokens.size(); ++end) {
      const Tag tag = TagOf(tokens[end].label);
      if (end > begin && (tag.begins || tag.name != name)) break;
      sum += tokens[end].score;
    }
    const auto members = tokens.subspan(begin, end - begin);
    QEFF_ASSIGN_OR_RETURN(std::string text, TextOf(tokenizer, encoding, members));
    // What the library shows: all behind the first hyphen, whatever stands before it.
    const std::string& label = members.front().label;
    const size_t hyphen = label.find('-');
    groups.push_back({.label = hyphen == label.npos ? label : label.substr(hyphen + 1),
                      .score = sum / static_cast<float>(members.size()),
                      .index = members.front().index,
                      .word = std::move(text),
                      .span = {members.front().span.begin, members.back().span.end}});
  }
  return groups;
}

/// The text of `ids`, padding left out as the library does, and what is no token.
Result<std::string> Filled(const Tokenizer& tokenizer, std::vector<int64_t> ids,
                           bool skips_special) {
  std::erase_if(ids,
                [&](int64_t id) { return id == tokenizer.pad_id() || !tokenizer.IdToToken(id); });
  return tokenizer.Decode(ids, {.skip_special_tokens = skips_special});
}

}  // namespace

Result<std::vector<Entity>> FindEntities(const Tokenizer& tokenizer,
                                         const std::vector<std::string>& labels,
                                         const EncodedRow& row, Aggregation aggregation) {
  QEFF_ASSIGN_OR_RETURN(std::vector<Entity> entities, OfTokens(tokenizer, labels, row));
  if (aggregation == Aggregation::kSimple) {
    QEFF_ASSIGN_OR_RETURN(entities, Grouped(tokenizer, row.encoding, entities));
  }
  std::erase_if(entities, [](const Entity& entity) { return entity.label == "O"; });
  return entities;
}

Result<std::vector<std::vector<MaskFill>>> FillMasks(const Tokenizer& tokenizer,
                                                     const EncodedRow& encoded, size_t count) {
  const Encoding& encoding = encoded.encoding;
  const std::span<const float> logits = encoded.values;
  std::vector<size_t> masks;
  for (size_t i = 0; i < encoding.ids.size(); ++i) {
    if (encoding.ids[i] == tokenizer.mask_id()) masks.push_back(i);
  }
  QEFF_CHECK(!masks.empty() && logits.size() % masks.size() == 0, "{} logits for {} masks",
             logits.size(), masks.size());
  const size_t vocabulary = logits.size() / masks.size();
  count = std::min(count, vocabulary);
  std::vector<std::vector<MaskFill>> all;
  for (size_t mask = 0; mask < masks.size(); ++mask) {
    const auto row = logits.subspan(mask * vocabulary, vocabulary);
    std::vector<int64_t> best(vocabulary);
    std::iota(best.begin(), best.end(), int64_t{0});
    std::ranges::partial_sort(best, best.begin() + static_cast<ptrdiff_t>(count),
                              [&](int64_t a, int64_t b) {
                                const float x = row[static_cast<size_t>(a)];
                                const float y = row[static_cast<size_t>(b)];
                                return x > y || (x == y && a < b);
                              });
    std::vector<MaskFill>& fills = all.emplace_back();
    std::vector<int64_t> ids = encoding.ids;
    for (const int64_t token : std::span(best).first(count)) {
      ids[masks[mask]] = token;
      MaskFill fill{.score = Probability(row, static_cast<size_t>(token)), .token = token};
      // A vocabulary that was padded has rows without a token.
      if (tokenizer.IdToToken(token)) {
        QEFF_ASSIGN_OR_RETURN(fill.token_str, tokenizer.Decode(std::span(&token, 1), {}));
      }
      QEFF_ASSIGN_OR_RETURN(fill.sequence, Filled(tokenizer, ids, masks.size() == 1));
      fills.push_back(std::move(fill));
    }
  }
  return all;
}

}  // namespace qeff::stages
