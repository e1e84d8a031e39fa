// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The "post_processor" of tokenizer.json: the special tokens around one text or a pair, and which
// type id each token gets.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "lib/support/status.h"
#include "lib/tokenizer/encoding.h"

namespace qeff {

class ConfigNode;

class PostProcessor {
 public:
  /// Tells whether an id has a token.
  using HasId = std::function<bool(int64_t id)>;

  /// A text, or a special token.
  struct Part {
    enum class Kind { kFirstText, kSecondText, kToken };
    Kind kind = Kind::kToken;
    int64_t type_id = 0;
    int64_t token_id = -1;  ///< of kToken
    bool operator==(const Part&) const = default;
  };

  /// Without a file: the text, or the two texts with type ids 0 and 1.
  PostProcessor();
  /// An absent node gives one that adds nothing. Errors: kInvalidInput, also for an id without
  /// token; kUnsupported for an unknown type.
  static Result<PostProcessor> FromConfig(const ConfigNode& node, const HasId& has_id);

  const std::vector<Part>& single() const { return single_; }
  /// Errors: kInvalidInput if the file has no place for a second text.
  Result<std::vector<Part>> pair() const;

 private:
  static Result<PostProcessor> Template(const ConfigNode& node, const HasId& has_id);
  static Result<PostProcessor> Bert(const ConfigNode& node, const HasId& has_id);
  static Result<PostProcessor> Roberta(const ConfigNode& node, const HasId& has_id);
  static Result<PostProcessor> Sequence(const ConfigNode& node, const HasId& has_id);
  bool operator==(const PostProcessor& other) const {
    return single_ == other.single_ && pair_ == other.pair_;
  }

  std::vector<Part> single_;
  std::vector<Part> pair_;  ///< empty if the file has none
  std::string file_;        ///< for messages
};

/// Leaves the special tokens out.
std::vector<PostProcessor::Part> OnlyTexts(std::vector<PostProcessor::Part> parts);
/// Leaves out the tokens in front of the first text if that starts with the first of them.
std::vector<PostProcessor::Part> WithoutSecondStart(std::vector<PostProcessor::Part> parts,
                                                    std::span<const int64_t> first_text);
int64_t CountTokens(std::span<const PostProcessor::Part> parts);
/// Returns texts and tokens in the order of `parts`, without padding. `second` is not looked at if
/// there is no part for it.
Encoding Join(std::span<const PostProcessor::Part> parts, std::span<const int64_t> first,
              std::span<const int64_t> second);

}  // namespace qeff
