// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Unigram: of all ways to cut a word into tokens, the one with the largest sum of scores, found by
// dynamic programming over the bytes of the word. A character that no token covers is unknown and
// costs more than any token; neighbouring unknown characters are one token.
#include <algorithm>

#include "lib/tokenizer/byte_trie.h"
#include "lib/tokenizer/config_node.h"
#include "lib/tokenizer/model.h"
#include "lib/tokenizer/unicode.h"

namespace qeff {
namespace {

/// How much worse than the worst token an unknown character is; SentencePiece's constant.
constexpr double kUnknownPenalty = 10.0;

class Unigram final : public Model {
 public:
  static Result<std::unique_ptr<Model>> Make(const ConfigNode& node);
  Status Encode(std::string_view word, std::vector<int64_t>& ids) const override;

 private:
  /// The best way to the end of a prefix of the word: its last token.
  struct Step {
    double score = 0;
    int64_t id = kUnknown;
    size_t begin = kUnreached;
  };
  static constexpr int64_t kUnknown = -1;
  static constexpr size_t kUnreached = SIZE_MAX;

  Status ReadHidden(const ConfigNode& node,
                    std::vector<std::pair<std::string_view, int64_t>>& entries);
  double Rounded(double score) const {
    return rounds_to_float_ ? static_cast<double>(static_cast<float>(score)) : score;
  }
  void FindBest(std::string_view word, std::vector<Step>& steps) const;
  Status EncodeUnknown(std::string_view text, std::vector<int64_t>& ids) const;

  std::vector<double> scores_;  ///< by id
  double unknown_score_ = 0;
  ByteTrie trie_;
  bool has_byte_fallback_ = false;
  bool rounds_to_float_ = false;
};

Result<std::unique_ptr<Model>> Unigram::Make(const ConfigNode& node) {
  auto model = std::make_unique<Unigram>();
  model->file_ = node.file();
  const ConfigNode vocabulary = node.Member("vocab");
  QEFF_ASSIGN_OR_RETURN(const auto scores, vocabulary.TokenScores());
  if (scores.empty()) return vocabulary.Expected("at least one token");
  std::vector<std::pair<std::string_view, int64_t>> entries;
  for (const auto& [token, score] : scores) {
    entries.emplace_back(token, std::ssize(entries));
    model->scores_.push_back(score);
  }
  QEFF_ASSIGN_OR_RETURN(model->vocabulary_, Vocabulary::Make(entries, vocabulary));
  const ConfigNode unknown = node.Member("unk_id");
  if (!unknown.is_absent()) {
    QEFF_ASSIGN_OR_RETURN(model->unknown_id_, unknown.Integer(0, std::ssize(entries) - 1));
  }
  QEFF_ASSIGN_OR_RETURN(model->has_byte_fallback_, node.Member("byte_fallback").BooleanOr(false));
  QEFF_RETURN_IF_ERROR(model->ReadHidden(node.Member("sentencepiece"), entries));
  if (entries.empty()) return vocabulary.Expected("a token that a text can have");
  double lowest = model->scores_[static_cast<size_t>(entries[0].second)];
  for (const auto& [token, id] : entries) {
    lowest = std::min(lowest, model->scores_[static_cast<size_t>(id)]);
  }
  model->unknown_score_ = model->Rounded(lowest - kUnknownPenalty);
  model->trie_ = ByteTrie(std::move(entries));
  return {std::move(model)};
}

/// "sentencepiece": {"hidden": [ids]} is ours, for the files of SentencePiece itself: it adds
/// scores as floats, and never finds control pieces in a text.
Status Unigram::ReadHidden(const ConfigNode& node,
                           std::vector<std::pair<std::string_view, int64_t>>& entries) {
  rounds_to_float_ = !node.is_absent();
  QEFF_ASSIGN_OR_RETURN(const std::vector<ConfigNode> ids, node.Member("hidden").Elements());
  std::vector<bool> is_hidden(entries.size());
  for (const ConfigNode& id_node : ids) {
    QEFF_ASSIGN_OR_RETURN(const int64_t id, id_node.Integer(0, std::ssize(entries) - 1));
    is_hidden[static_cast<size_t>(id)] = true;
  }
  std::erase_if(entries,
                [&](const auto& entry) { return is_hidden[static_cast<size_t>(entry.second)]; });
  return Status::Ok();
}

void Unigram::FindBest(std::string_view word, std::vector<Step>& steps) const {
  steps.assign(word.size() + 1, Step());
  // SentencePiece compares sums in double with what it has stored as float.
  const auto offer = [&](size_t begin, size_t end, int64_t id, double score) {
    Step& step = steps[end];
    if (step.begin == kUnreached || score > step.score) step = {Rounded(score), id, begin};
  };
  for (size_t begin = 0; begin < word.size();) {
    const double score = steps[begin].score;
    const size_t character_bytes = CharacterBytes(word[begin]);
    bool has_single = false;
    trie_.VisitPrefixes(word.substr(begin), [&](size_t length, int64_t id) {
      offer(begin, begin + length, id, score + scores_[static_cast<size_t>(id)]);
      has_single = has_single || length == character_bytes;
    });
    if (!has_single) {
      offer(begin, begin + character_bytes, unknown_id_.value_or(kUnknown),
            Rounded(score + unknown_score_));
    }
    begin += character_bytes;
  }
}

Status Unigram::Encode(std::string_view word, std::vector<int64_t>& ids) const {
  std::vector<Step> steps;
  FindBest(word, steps);
  // Backwards: known tokens by their ids, runs of unknown ones by their text.
  struct Part {
    size_t begin;
    size_t end;
    int64_t id;
  };
  const int64_t unknown = unknown_id_.value_or(kUnknown);
  std::vector<Part> parts;
  for (size_t end = word.size(); end > 0; end = steps[end].begin) {
    const Step& step = steps[end];
    if (step.id == unknown && !parts.empty() && parts.back().id == unknown) {
      parts.back().begin = step.begin;
    } else {
      parts.push_back({step.begin, end, step.id});
    }
  }
  std::ranges::reverse(parts);
  for (const Part& part : parts) {
    if (part.id != unknown) {
      ids.push_back(part.id);
    } else {
      QEFF_RETURN_IF_ERROR(EncodeUnknown(word.substr(part.begin, part.end - part.begin), ids));
    }
  }
  return Status::Ok();
}

Status Unigram::EncodeUnknown(std::string_view text, std::vector<int64_t>& ids) const {
  if (const auto id = vocabulary_.Find(text)) {
    ids.push_back(*id);
    return Status::Ok();
  }
  if (has_byte_fallback_) {
    if (const auto bytes = ByteTokens(text, vocabulary_)) {
      ids.insert(ids.end(), bytes->begin(), bytes->end());
      return Status::Ok();
    }
  }
  if (!unknown_id_.has_value()) return NoUnknownToken(text);
  ids.push_back(*unknown_id_);
  return Status::Ok();
}

}  // namespace

Result<std::unique_ptr<Model>> MakeUnigram(const ConfigNode& node) { return Unigram::Make(node); }

}  // namespace qeff
