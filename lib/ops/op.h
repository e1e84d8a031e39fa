// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What every op means: its schema, the types of its outputs and its reference meaning. Passes,
// backends and tests ask here; nothing else restates shapes. One file per op or per group with one
// shape rule, named in ops.def; files of ops are written against context.h.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "lib/ir/graph.h"
#include "lib/ops/symbolic_int.h"
#include "lib/ops/tensor.h"

namespace qeff::ops {

enum class AttributeKind { kInt, kFloat, kString, kInts, kFloats, kStrings, kTensor };
std::string_view AttributeKindName(AttributeKind kind);

struct AttributeSchema {
  std::string_view name;
  AttributeKind kind = AttributeKind::kInt;
  bool is_required = false;
  /// What a node without the attribute means; absent if leaving it out has a meaning of its own.
  std::optional<ir::Attribute> fallback = std::nullopt;
};

inline constexpr int kVariadic = 1 << 20;

struct OpSchema {
  std::string_view domain;
  std::string_view op_type;
  /// Inputs beyond the least number may be left out (null) although later ones are given.
  int min_inputs = 1;
  int max_inputs = 1;
  int min_outputs = 1;
  int max_outputs = 1;
  std::vector<AttributeSchema> attributes = {};
};

class InferContext;
class EvaluateContext;

/// How type inference sees through an op when inputs are small tensors with symbolic elements.
struct SymbolicMeaning {
  /// Inputs whose elements the op moves but does not read, as bits: output elements are copies.
  uint32_t moved_inputs = 0;
  /// Elementwise ops on integers: the result for two elements (one, given twice, for unary ops).
  SymbolicInt (*combine)(const SymbolicInt& a, const SymbolicInt& b) = nullptr;
};

struct OpDefinition {
  OpSchema schema;
  /// Sets the type of every output. Called with inputs of known rank and element type.
  Status (*infer)(InferContext&) = nullptr;
  /// Computes the outputs, which have the inferred types and are all zero.
  Status (*evaluate)(EvaluateContext&) = nullptr;
  SymbolicMeaning symbolic = {};
  /// The size of the output depends on elements that inference cannot see: `evaluate` sets it.
  bool evaluate_sets_sizes = false;
};

/// Null if there is no such op.
const OpDefinition* FindOp(std::string_view domain, std::string_view op_type);
/// All ops, sorted by domain and name.
const std::vector<const OpDefinition*>& AllOps();

/// Known contents of small tensors, float tensors with integral values included.
struct TypeFacts {
  std::unordered_map<const ir::Value*, SymbolicInts> ints;
};

/// Sets the type of every value, from the types of inputs and constants. Symbols stay symbols; a
/// size computed from them is a symbol such as "batch_size*seq_len"; sizes that cannot be known
/// stay unknown. Errors: kUnsupported for an op without definition; kInvalidInput for a node that
/// breaks its op's rules. They name node, op, expected and got.
Result<TypeFacts> InferTypes(ir::Graph& graph);

/// Specialisation: gives symbols numbers, in types of inputs and in declared shapes of outputs, and
/// infers all types again. Errors: kInvalidInput if an input keeps a symbol that `numbers` lacks,
/// or an output's declared shape contradicts the inferred one; those of InferTypes.
Status SubstituteSymbols(ir::Graph& graph, const std::map<std::string, int64_t>& numbers);

/// Checks structure and, per node, that the op exists and that inputs, outputs and attributes obey
/// its schema.
Status VerifyGraph(const ir::Graph& graph, Diagnostics& diagnostics);

/// Computes the outputs of a node, rounding nothing except in Cast. `inputs` has one entry per
/// input of the node, null where one is left out. Errors: as InferTypes; kInvalidInput for values
/// outside of an op's domain (an index beyond its axis); kUnsupported for results of more than
/// kMostElements elements.
Result<std::vector<Tensor>> EvaluateNode(const ir::Node& node,
                                         std::span<const Tensor* const> inputs);

}  // namespace qeff::ops
