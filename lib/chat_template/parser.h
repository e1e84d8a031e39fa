// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Template text to syntax: the language of Jinja 3 with loop controls and generation blocks.
#pragma once

#include <string_view>

#include "lib/chat_template/lexer.h"
#include "lib/chat_template/syntax.h"

namespace qeff::jinja {

/// Brackets, blocks and operators in each other; deeper ones are errors.
inline constexpr int kMaxSyntaxDepth = 200;

/// `path` names the template in errors. Errors: kInvalidInput with line and column.
Result<Body> ParseTemplate(std::string_view text, std::string_view path,
                           const WhitespaceOptions& options);

}  // namespace qeff::jinja
