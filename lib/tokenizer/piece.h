// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// A part of the text on its way from the user to the model: what added tokens, normalizer and
// pre-tokenizer hand on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "lib/support/status.h"

namespace qeff {

/// The largest text that is taken, and that any step may make of one.
inline constexpr size_t kMaxTextBytes = size_t{256} << 20;

/// Steps can double a text, so a sequence of them is checked after each one. Errors: kInvalidInput.
inline Status CheckTextSize(size_t size_bytes, std::string_view file) {
  if (size_bytes <= kMaxTextBytes) return Status::Ok();
  return InvalidInput(Location::File(file),
                      fmt::format("expected steps that keep a text below {} bytes, got {}",
                                  kMaxTextBytes, size_bytes));
}

struct Piece {
  std::string text;          ///< UTF-8, as far as it is processed
  int64_t token_id = -1;     ///< an added token that was found; -1 for text still to be encoded
  bool is_at_start = false;  ///< holds the first character of the user's text
};

}  // namespace qeff
