// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Finds a small graph in a larger one. Raising passes whose pattern is long emit it again with the
// code that lowers it, and compare, instead of spelling it out a second time.
#pragma once

#include <map>

#include "lib/ir/graph.h"
#include "passes/pass.h"

namespace qeff::passes {

/// Brings an emitted pattern into the form that graphs have when raising passes see them. Errors:
/// those of the passes.
Status NormalizePattern(ir::Model& pattern);

/// One attempt at one place: after a failed match the object is of no further use.
class TemplateMatch {
 public:
  /// `pattern` must outlive the match.
  explicit TemplateMatch(const ir::Graph& pattern) : pattern_(pattern) {}

  /// True if `value` is computed as the pattern's `pattern_value` is: the same ops, attributes and
  /// constants, down to the pattern's inputs, each of which stands for one value.
  bool Match(const ir::Value* pattern_value, ir::Value* value);
  /// The same for a value that is not known yet, but is computed from matched ones.
  bool MatchReader(const ir::Value* pattern_value);
  /// The value that a matched value or input of the pattern stands for; null if there is none.
  ir::Value* Find(const ir::Value* pattern_value) const;
  ir::Value* FindInput(std::string_view name) const { return Find(pattern_.FindInput(name)); }

 private:
  /// Of the matched inputs of a pattern's node the value with the fewest readers: equal layers
  /// share values, and what reads a shared one may belong to another layer.
  const ir::Value* FindRarestInput(const ir::Node& wanted) const;

  const ir::Graph& pattern_;
  std::map<const ir::Value*, ir::Value*> found_;
};

}  // namespace qeff::passes
