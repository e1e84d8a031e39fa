// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// A template's text as tokens: plain text, and what stands between {{ }} and {% %}. Everything
// about white space happens here: trim_blocks, lstrip_blocks, the marks '-' and '+', the final
// newline.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/chat_template/value.h"
#include "lib/support/status.h"

namespace qeff::jinja {

struct WhitespaceOptions {
  bool trims_blocks = true;          ///< the newline after a block's tag is dropped
  bool strips_before_blocks = true;  ///< blanks between the line's start and a block's tag are too
  bool keeps_trailing_newline = false;
};

struct Token {
  enum class Kind {
    kText,
    kVariableBegin,
    kVariableEnd,
    kBlockBegin,
    kBlockEnd,
    kName,
    kString,
    kNumber,
    kOperator,
    kEnd
  };
  Kind kind = Kind::kEnd;
  std::string text;  ///< content of kText and kString, spelling of kName and kOperator
  Value number;      ///< of kNumber
  int64_t line = 1;
  int64_t column = 1;
};

/// `path` names the template in errors. Errors: kInvalidInput with line and column for text that is
/// not UTF-8, comments and strings without end, unknown characters, brackets that do not match.
Result<std::vector<Token>> Tokenize(std::string_view text, std::string_view path,
                                    const WhitespaceOptions& options);

}  // namespace qeff::jinja
