// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Where in a text its tokens come from, for results that point into it. Found afterwards, by
// looking for what the tokens spell in the normalized text, so that encoding itself carries no
// offsets along. Internal to lib/tokenizer; Tokenizer::Spans is the way in.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/support/status.h"
#include "lib/tokenizer/tokenizer.h"

namespace qeff {

class ConfigNode;

/// What of a tokenizer's file decides how tokens spell text.
struct SpanRules {
  std::string word_part_prefix;  ///< "##" of WordPiece
  bool has_byte_symbols = false;
  /// A space before a word is of no token, or is not counted.
  bool leaves_out_spaces = false;
};

/// `root` is that of tokenizer.json. Errors: kInvalidInput.
Result<SpanRules> SpanRulesFromConfig(const ConfigNode& root);

/// Returns the place of each of `tokens`, which are as the vocabulary spells them, in their order;
/// those without a spelling, the unknown ones, get what is left between their neighbours.
/// `normalize` is applied to single characters.
std::vector<TokenSpan> AlignTokens(std::string_view text,
                                   const std::vector<std::optional<std::string>>& tokens,
                                   const SpanRules& rules,
                                   const std::function<std::string(std::string_view)>& normalize);

}  // namespace qeff
