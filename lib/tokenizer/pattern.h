// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What Split and Replace look for: a string, or a regular expression. Expressions are written for
// Oniguruma; they are translated (oniguruma.h) and run by PCRE2 under limits, so that no pattern of
// a file can hang or exhaust the stack.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/support/status.h"

namespace qeff {

class ConfigNode;

/// A match in a text, in bytes.
struct Match {
  size_t begin;
  size_t end;
};

class Pattern {
 public:
  /// Reads {"String": "..."} or {"Regex": "..."}. Errors: kInvalidInput; kUnsupported for an
  /// expression that PCRE2 has no equivalent for.
  static Result<Pattern> FromConfig(const ConfigNode& node);
  /// `expression` in Oniguruma's syntax; `where` is named in errors.
  static Result<Pattern> FromRegex(std::string_view expression, const ConfigNode& where);

  /// Returns all matches from left to right, not overlapping. An empty match directly after a match
  /// does not count. `text` must be UTF-8. Errors: kInvalidInput if the expression needs more
  /// backtracking or time than is allowed.
  Result<std::vector<Match>> FindAll(std::string_view text) const;

 private:
  struct Compiled;
  Pattern() = default;
  Result<std::vector<Match>> FindExpression(std::string_view text) const;

  std::string literal_;                       ///< used if there is no expression; not empty then
  std::shared_ptr<const Compiled> compiled_;  ///< immutable, so copies may share it
};

/// "Replace" of normalizers and decoders: each match becomes a fixed text.
class Replacement {
 public:
  /// Reads "pattern" and "content". Errors: those of Pattern::FromConfig.
  static Result<Replacement> FromConfig(const ConfigNode& node);

  struct Output {
    std::string text;
    bool removed_start = false;  ///< the first character is gone, with nothing in its place
  };
  /// Errors: those of FindAll; kInvalidInput if the text would become larger than kMaxTextBytes.
  Result<Output> Apply(std::string_view text) const;

 private:
  explicit Replacement(Pattern pattern) : pattern_(std::move(pattern)) {}

  Pattern pattern_;
  std::string content_;  ///< taken literally
  std::string file_;     ///< for messages
  std::string path_;
};

}  // namespace qeff
