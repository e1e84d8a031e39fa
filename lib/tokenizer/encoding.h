// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What an encoder model takes for a text or a pair of texts, cut to a length and padded to that of
// its batch. The rules are those of Hugging Face's `tokenizers`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "lib/support/status.h"

namespace qeff {

class ConfigNode;

/// The tokens of one text or pair; all members have the same length, T.
struct Encoding {
  std::vector<int64_t> ids;
  std::vector<int64_t> type_ids;             ///< the part of the input that a token belongs to
  std::vector<int64_t> special_tokens_mask;  ///< 1 for what was added to the texts, else 0
  std::vector<int64_t> attention_mask;       ///< 0 for padding, else 1
};

enum class TextSide { kLeft, kRight };

/// Which of the two texts gives up tokens; the longer one first, until both are equally long.
enum class TruncationStrategy { kLongestFirst, kOnlyFirst, kOnlySecond };

struct Truncation {
  int64_t max_tokens = 512;  ///< with the special tokens
  TruncationStrategy strategy = TruncationStrategy::kLongestFirst;
  TextSide side = TextSide::kRight;  ///< where tokens are taken away
};

struct Padding {
  std::optional<int64_t> length_tokens;  ///< none: the longest of the batch
  int64_t multiple_of_tokens = 1;        ///< lengths are rounded up to it
  TextSide side = TextSide::kRight;      ///< where padding is put
  int64_t id = 0;
  int64_t type_id = 0;
};

/// Reads "truncation" of tokenizer.json; none if absent. "stride" is about pieces that were cut
/// off, which we do not return. Errors: kInvalidInput.
Result<std::optional<Truncation>> TruncationFromConfig(const ConfigNode& node);
/// Reads "padding" of tokenizer.json; none if absent. Errors: kInvalidInput.
Result<std::optional<Padding>> PaddingFromConfig(const ConfigNode& node);

/// Shortens `first` and `second` (null for a single text) so that with `added_tokens` special ones
/// there are at most `truncation.max_tokens`. Errors: kInvalidInput if there is no room for the
/// special tokens, or if the text that the strategy names is too short or not there.
Status Truncate(const Truncation& truncation, int64_t added_tokens, std::vector<int64_t>& first,
                std::vector<int64_t>* second);

/// Pads all encodings to one length; those that are longer stay as they are.
void Pad(const Padding& padding, std::span<Encoding> batch);

}  // namespace qeff
