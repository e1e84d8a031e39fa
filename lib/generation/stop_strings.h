// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Finds stop strings in text that arrives in pieces. What may still become a stop string is held
// back, so that no part of one is ever shown; what cannot is passed on at once. The result does not
// depend on how the text was cut into pieces.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "lib/support/status.h"

namespace qeff {

class StopStrings {
 public:
  /// Errors: kUsage if a string is empty or begins inside a UTF-8 character.
  static Result<StopStrings> Create(const std::vector<std::string>& strings);

  /// Takes the next piece and returns the text that can be shown. After the stop string that ends
  /// first (of those that end together the longest) nothing more is shown. Cost: linear in the
  /// piece, times the number of strings.
  std::string Push(std::string_view piece);
  /// Returns what was held back, at the end of the text; empty after a stop.
  std::string Flush();
  bool found() const { return found_; }

 private:
  /// One string with its Knuth-Morris-Pratt table.
  struct Pattern {
    std::string text;
    std::vector<size_t>
        border_bytes;          ///< [i]: longest proper prefix of text[0..i] that is its suffix
    size_t matched_bytes = 0;  ///< longest prefix of `text` that ends the text so far
    void Advance(char byte);
  };
  StopStrings() = default;

  std::vector<Pattern> patterns_;
  std::string held_;
  bool found_ = false;
};

}  // namespace qeff
