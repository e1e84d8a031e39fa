// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Tokenizer files hold expressions in the dialect of Oniguruma; we run PCRE2. Rewrites what the two
// read differently, and leaves the rest, errors included, to PCRE2.
#pragma once

#include <string>
#include <string_view>

#include "lib/support/status.h"

namespace qeff {

class ConfigNode;

/// Returns the equivalent for PCRE2 with UTF, UCP and MULTILINE. Rewritten: \s \w \d \h and their
/// complements and POSIX brackets (Oniguruma's Unicode tables), \uHHHH, nested classes, &&
/// intersections, {,n}, {n,m}+ (not possessive), the flag (?m) (dot matches newline). Errors:
/// kInvalidInput if a class is not closed; kUnsupported if classes are nested too deep.
Result<std::string> TranslateOniguruma(std::string_view expression, const ConfigNode& where);

}  // namespace qeff
