// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/ops/check.h"

#include <algorithm>

namespace qeff::ops {
namespace {

Status Broken(const ir::Node& node, std::string_view message, std::vector<std::string> notes = {}) {
  return InvalidInput(Location::Node("", node.name()),
                      fmt::format("{}: {}", node.QualifiedOp(), message), std::move(notes));
}

Status UnknownOp(const ir::Node& node) {
  std::vector<std::string> known;
  for (const OpDefinition* op : AllOps()) {
    if (op->schema.domain == node.domain()) known.emplace_back(op->schema.op_type);
  }
  std::vector<std::string> notes;
  if (const auto nearest = Nearest(node.op_type(), known)) {
    notes.push_back(fmt::format("did you mean '{}'?", *nearest));
  }
  return Unsupported(Location::Node("", node.name()),
                     fmt::format("unknown op '{}'", node.QualifiedOp()), std::move(notes));
}

std::string Count(int low, int high, std::string_view what) {
  const std::string_view plural = low == 1 && high == 1 ? "" : "s";
  if (low == high) return fmt::format("{} {}{}", low, what, plural);
  if (high == kVariadic) return fmt::format("at least {} {}{}", low, what, low == 1 ? "" : "s");
  return fmt::format("{} to {} {}{}", low, high, what, plural);
}

Status CheckCounts(const ir::Node& node, const OpSchema& schema) {
  const auto inputs = static_cast<int>(node.inputs().size());
  if (inputs < schema.min_inputs || inputs > schema.max_inputs) {
    return Broken(node, fmt::format("expected {}, got {}",
                                    Count(schema.min_inputs, schema.max_inputs, "input"), inputs));
  }
  const auto outputs = static_cast<int>(node.outputs().size());
  if (outputs < schema.min_outputs || outputs > schema.max_outputs) {
    return Broken(node,
                  fmt::format("expected {}, got {}",
                              Count(schema.min_outputs, schema.max_outputs, "output"), outputs));
  }
  // Only inputs beyond the least number may be left out, and none of a list of any length.
  const bool is_list = schema.max_inputs == kVariadic;
  for (int i = 0; i < (is_list ? inputs : schema.min_inputs); ++i) {
    if (node.inputs()[static_cast<size_t>(i)] == nullptr) {
      return Broken(node, fmt::format("input {} is missing", i));
    }
  }
  return Status::Ok();
}

std::optional<AttributeKind> KindOf(const ir::Attribute& attribute) {
  constexpr AttributeKind kKinds[] = {
      AttributeKind::kInt,    AttributeKind::kFloat,   AttributeKind::kString, AttributeKind::kInts,
      AttributeKind::kFloats, AttributeKind::kStrings, AttributeKind::kTensor};
  if (attribute.index() >= std::size(kKinds)) return std::nullopt;  // a reference
  return kKinds[attribute.index()];
}

Status CheckAttributes(const ir::Node& node, const OpSchema& schema) {
  for (const AttributeSchema& expected : schema.attributes) {
    const ir::Attribute* given = node.FindAttribute(expected.name);
    if (given == nullptr) {
      if (!expected.is_required) continue;
      return Broken(node, fmt::format("attribute '{}' is missing", expected.name));
    }
    const std::optional<AttributeKind> kind = KindOf(*given);
    if (kind && *kind != expected.kind) {
      return Broken(node, fmt::format("attribute '{}': expected {}, got {}", expected.name,
                                      AttributeKindName(expected.kind), AttributeKindName(*kind)));
    }
  }
  for (const auto& [name, value] : node.attributes()) {
    std::vector<std::string> known;
    for (const AttributeSchema& expected : schema.attributes) known.emplace_back(expected.name);
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    std::vector<std::string> notes;
    if (const auto nearest = Nearest(name, known)) {
      notes.push_back(fmt::format("did you mean '{}'?", *nearest));
    }
    return Broken(node, fmt::format("unknown attribute '{}'", name), std::move(notes));
  }
  return Status::Ok();
}

}  // namespace

std::string_view AttributeKindName(AttributeKind kind) {
  constexpr std::string_view kNames[] = {"int",    "float",   "string", "ints",
                                         "floats", "strings", "tensor"};
  return kNames[static_cast<int>(kind)];
}

Result<const OpDefinition*> CheckNode(const ir::Node& node) {
  const OpDefinition* definition = FindOp(node.domain(), node.op_type());
  if (definition == nullptr) return UnknownOp(node);
  QEFF_RETURN_IF_ERROR(CheckCounts(node, definition->schema));
  QEFF_RETURN_IF_ERROR(CheckAttributes(node, definition->schema));
  return definition;
}

Status VerifyGraph(const ir::Graph& graph, Diagnostics& diagnostics) {
  if (const Status structure = ir::VerifyStructure(graph); !structure.ok()) {
    diagnostics.Add(structure.diagnostic());
  }
  int64_t index = 0;
  for (const auto& node : graph.nodes()) {
    const Result<const OpDefinition*> definition = CheckNode(*node);
    if (!definition.ok()) {
      Diagnostic diagnostic = definition.diagnostic();
      diagnostic.where.node_index = index;
      diagnostics.Add(std::move(diagnostic));
    }
    ++index;
  }
  return diagnostics.ToStatus();
}

}  // namespace qeff::ops
