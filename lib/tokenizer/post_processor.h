// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The "post_processor" of tokenizer.json: the special tokens around the ids of one text.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "lib/support/status.h"

namespace qeff {

class ConfigNode;

class PostProcessor {
 public:
  /// Tells whether an id has a token.
  using HasId = std::function<bool(int64_t id)>;

  /// An absent node gives one that adds nothing. Errors: kInvalidInput, also for an id without
  /// token; kUnsupported for an unknown type.
  static Result<PostProcessor> FromConfig(const ConfigNode& node, const HasId& has_id);

  /// Returns `ids` with the special tokens around them. With `keep_single_start` the tokens in
  /// front are left out if `ids` start with the first of them already.
  std::vector<int64_t> Apply(std::vector<int64_t> ids, bool keep_single_start) const;

 private:
  static Result<PostProcessor> Template(const ConfigNode& node, const HasId& has_id);
  static Result<PostProcessor> Pair(const ConfigNode& node, const HasId& has_id);
  static Result<PostProcessor> Sequence(const ConfigNode& node, const HasId& has_id);
  bool adds_nothing() const { return before_.empty() && behind_.empty(); }

  std::vector<int64_t> before_;
  std::vector<int64_t> behind_;
};

}  // namespace qeff
