// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/ir/equal.h"

#include <unordered_map>

namespace qeff::ir {
namespace {

class Comparer {
 public:
  Comparer(const Graph& a, const Graph& b) : a_(a), b_(b) {}

  std::string Run() {
    if (a_.inputs().size() != b_.inputs().size()) {
      return fmt::format("{} inputs against {}", a_.inputs().size(), b_.inputs().size());
    }
    for (size_t i = 0; i < a_.inputs().size(); ++i) {
      const Value& left = *a_.inputs()[i];
      const Value& right = *b_.inputs()[i];
      if (left.name() != right.name() || left.type() != right.type()) {
        return fmt::format("input {}: '{}' {} against '{}' {}", i, left.name(),
                           left.type().ToString(), right.name(), right.type().ToString());
      }
      pairs_[&left] = &right;
    }
    if (a_.outputs().size() != b_.outputs().size()) {
      return fmt::format("{} outputs against {}", a_.outputs().size(), b_.outputs().size());
    }
    for (size_t i = 0; i < a_.outputs().size(); ++i) {
      const GraphOutput& left = a_.outputs()[i];
      const GraphOutput& right = b_.outputs()[i];
      if (left.name != right.name)
        return fmt::format("output {}: '{}' against '{}'", i, left.name, right.name);
      if (std::string difference = Compare(left.value, right.value); !difference.empty()) {
        return fmt::format("output '{}': {}", left.name, difference);
      }
    }
    return "";
  }

 private:
  /// Compares everything that `left` and `right` depend on.
  std::string Compare(const Value* left, const Value* right) {
    std::vector<std::pair<const Value*, const Value*>> open = {{left, right}};
    while (!open.empty()) {
      const auto [x, y] = open.back();
      open.pop_back();
      if (x == nullptr || y == nullptr) {
        if (x != y) return "an input that only one side has";
        continue;
      }
      // Constants are what they hold: one for all, or one a function, makes no difference.
      if (x->is_constant() || y->is_constant()) {
        if (!x->is_constant() || !y->is_constant() || !SameRecipe(*x->constant(), *y->constant())) {
          return fmt::format("constant '{}' ({}) against '{}' ({})", x->name(),
                             x->is_constant() ? DescribeWeight(*x->constant()) : "computed",
                             y->name(),
                             y->is_constant() ? DescribeWeight(*y->constant()) : "computed");
        }
        continue;
      }
      const auto [pair, is_new] = pairs_.emplace(x, y);
      if (!is_new) {
        if (pair->second != y)
          return fmt::format("'{}' is wired to '{}' here, to '{}' there", x->name(), y->name(),
                             pair->second->name());
        continue;
      }
      if (std::string difference = CompareNodes(x, y, open); !difference.empty()) return difference;
    }
    return "";
  }

  static std::string CompareNodes(const Value* x, const Value* y,
                                  std::vector<std::pair<const Value*, const Value*>>& open) {
    const Node* left = x->producer();
    const Node* right = y->producer();
    if (left == nullptr || right == nullptr)
      return fmt::format("'{}' against '{}': only one is an input", x->name(), y->name());
    if (left->QualifiedOp() != right->QualifiedOp() || x->output_index() != y->output_index()) {
      return fmt::format("node '{}' is {}, '{}' is {}", left->name(), left->QualifiedOp(),
                         right->name(), right->QualifiedOp());
    }
    if (left->inputs().size() != right->inputs().size()) {
      return fmt::format("node '{}' has {} inputs, '{}' has {}", left->name(),
                         left->inputs().size(), right->name(), right->inputs().size());
    }
    if (left->attributes().size() != right->attributes().size()) {
      return fmt::format("node '{}' has {} attributes, '{}' has {}", left->name(),
                         left->attributes().size(), right->name(), right->attributes().size());
    }
    for (const auto& [name, attribute] : left->attributes()) {
      const Attribute* other = right->FindAttribute(name);
      if (other == nullptr || !SameAttribute(attribute, *other)) {
        return fmt::format("attribute '{}' of node '{}' differs", name, left->name());
      }
    }
    for (size_t i = 0; i < left->inputs().size(); ++i)
      open.emplace_back(left->input(i), right->input(i));
    return "";
  }

  const Graph& a_;
  const Graph& b_;
  std::unordered_map<const Value*, const Value*> pairs_;
};

}  // namespace

std::string FindDifference(const Graph& a, const Graph& b) { return Comparer(a, b).Run(); }

}  // namespace qeff::ir
