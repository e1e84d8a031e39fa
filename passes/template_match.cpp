// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "passes/template_match.h"

#include "passes/pass_manager.h"

namespace qeff::passes {
namespace {

bool SameConstant(const ir::Value& a, const ir::Value& b) {
  const ir::Weight& left = *a.constant();
  const ir::Weight& right = *b.constant();
  if (left.dtype() != right.dtype() || left.dims() != right.dims()) return false;
  if (ir::SameRecipe(left, right)) return true;
  if (const auto ints = ir::ConstantInts(&a)) return ints == ir::ConstantInts(&b);
  const auto number = ir::ConstantFloat(&a);
  return number && number == ir::ConstantFloat(&b);
}

bool SameNode(const ir::Node& a, const ir::Node& b) {
  if (!a.Is(b.domain(), b.op_type()) || a.inputs().size() != b.inputs().size() ||
      a.attributes().size() != b.attributes().size()) {
    return false;
  }
  for (const auto& [name, attribute] : a.attributes()) {
    const ir::Attribute* other = b.FindAttribute(name);
    if (other == nullptr || !ir::SameAttribute(attribute, *other)) return false;
  }
  return true;
}

}  // namespace

Status NormalizePattern(ir::Model& pattern) {
  return RunPipeline(pattern, {{"fold-shapes", {}}, {"fold-reshapes", {}}}).status();
}

bool TemplateMatch::Match(const ir::Value* pattern_value, ir::Value* value) {
  if (pattern_value == nullptr || value == nullptr) return pattern_value == value;
  // Equal constants may be several in one graph: inlining a function copies its own.
  if (pattern_value->is_constant())
    return value->is_constant() && SameConstant(*pattern_value, *value);
  ir::Value*& found = found_[pattern_value];
  if (found != nullptr) return found == value;
  found = value;
  if (pattern_value->is_input()) return true;
  const ir::Node* node = value->producer();
  const ir::Node& wanted = *pattern_value->producer();
  if (node == nullptr || !SameNode(wanted, *node) ||
      value->output_index() != pattern_value->output_index()) {
    return false;
  }
  for (size_t i = 0; i < wanted.inputs().size(); ++i) {
    if (!Match(wanted.input(i), node->input(i))) return false;
  }
  return true;
}

bool TemplateMatch::MatchReader(const ir::Value* pattern_value) {
  if (Find(pattern_value) != nullptr) return true;
  if (pattern_value->producer() == nullptr) return false;
  const ir::Node& wanted = *pattern_value->producer();
  const ir::Value* known = FindRarestInput(wanted);
  for (size_t i = 0; known == nullptr && i < wanted.inputs().size(); ++i) {
    if (wanted.input(i) != nullptr && MatchReader(wanted.input(i))) known = FindRarestInput(wanted);
  }
  if (known == nullptr) return false;
  for (const ir::Use& use : known->uses()) {
    TemplateMatch attempt = *this;
    if (!attempt.Match(pattern_value, use.node->output())) continue;
    found_ = std::move(attempt.found_);
    return true;
  }
  return false;
}

const ir::Value* TemplateMatch::FindRarestInput(const ir::Node& wanted) const {
  const ir::Value* rarest = nullptr;
  for (const ir::Value* input : wanted.inputs()) {
    const ir::Value* found = Find(input);
    if (found == nullptr || found->is_constant()) continue;  // a weight, for example
    if (rarest == nullptr || found->uses().size() < rarest->uses().size()) rarest = found;
  }
  return rarest;
}

ir::Value* TemplateMatch::Find(const ir::Value* pattern_value) const {
  const auto found = found_.find(pattern_value);
  return found == found_.end() ? nullptr : found->second;
}

}  // namespace qeff::passes
