// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// A part of the text on its way from the user to the model: what added tokens, normalizer and
// pre-tokenizer hand on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace qeff {

/// The largest text that is taken, and that a replacement may make.
inline constexpr size_t kMaxTextBytes = size_t{256} << 20;

struct Piece {
  std::string text;          ///< UTF-8, as far as it is processed
  int64_t token_id = -1;     ///< an added token that was found; -1 for text still to be encoded
  bool is_at_start = false;  ///< holds the first character of the user's text
};

}  // namespace qeff
