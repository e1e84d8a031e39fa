// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Cutting a piece at matches, in the five ways that pre-tokenizers name.
#pragma once

#include <string_view>
#include <vector>

#include "lib/support/status.h"
#include "lib/tokenizer/pattern.h"
#include "lib/tokenizer/piece.h"
#include "lib/tokenizer/unicode.h"

namespace qeff {

class ConfigNode;

/// What becomes of a match: dropped; a piece of its own; the end of the piece before it; the start
/// of the piece behind it; one piece together with the matches next to it.
enum class SplitBehavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

/// Reads the name of a behaviour ("Isolated", ...); an absent node gives `value`. Errors:
/// kInvalidInput.
Result<SplitBehavior> SplitBehaviorFromConfig(const ConfigNode& node, SplitBehavior value);

/// Appends the parts of `piece` to `pieces`; empty parts are left out. `matches` are in order and
/// do not overlap. With `is_inverted` the text between the matches is what is looked for.
void SplitPiece(const Piece& piece, const std::vector<Match>& matches, SplitBehavior behavior,
                bool is_inverted, std::vector<Piece>& pieces);

/// Returns each character for which `predicate(char32_t)` holds.
template <typename Predicate>
std::vector<Match> FindCharacters(std::string_view text, Predicate predicate) {
  std::vector<Match> matches;
  for (size_t position = 0; position < text.size();) {
    const size_t begin = position;
    if (predicate(NextCharacter(text, position))) matches.push_back({begin, position});
  }
  return matches;
}

}  // namespace qeff
