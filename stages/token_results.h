// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What the logits of single tokens say: entities in a text, and what stands behind its masks. The
// results of transformers' pipelines "token-classification" and "fill-mask".
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/support/status.h"
#include "lib/tokenizer/tokenizer.h"

namespace qeff::stages {

/// How entities follow from labels of tokens.
enum class Aggregation {
  kNone,   ///< each token is one
  kSimple  ///< neighbours with the same label are, "B-" beginning a new one
};

struct Entity {
  std::string label;  ///< with kSimple without "B-" or "I-"
  float score = 0;    ///< probability; with kSimple the mean of the tokens'
  int64_t index = 0;  ///< of the token, special ones counted; of the first one with kSimple
  std::string word;   ///< the token as the vocabulary has it; with kSimple the text of the tokens
  TokenSpan span;     ///< in the text
};

/// A text that was encoded and run.
struct EncodedRow {
  std::string_view text;  ///< of a pair, the second
  const Encoding& encoding;
  std::span<const float> values;  ///< what the program gave for it
};

/// Returns the entities of a text, without those of the label "O". `row.values` are the logits [T,
/// L], `labels` L names. Errors: those of Tokenizer.
Result<std::vector<Entity>> FindEntities(const Tokenizer& tokenizer,
                                         const std::vector<std::string>& labels,
                                         const EncodedRow& row, Aggregation aggregation);

struct MaskFill {
  float score = 0;        ///< probability among all V tokens
  int64_t token = 0;      ///< id
  std::string token_str;  ///< its text
  std::string sequence;   ///< the whole text with it
};

/// Returns the `count` likeliest tokens for each mask of a text, the best first; the sequence
/// of a text with one mask is without special tokens, that of one with several has the other masks
/// in it. `row.values` are the logits [M, V] of the masks. Errors: those of Tokenizer.
Result<std::vector<std::vector<MaskFill>>> FillMasks(const Tokenizer& tokenizer,
                                                     const EncodedRow& row, size_t count);

}  // namespace qeff::stages
