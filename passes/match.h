// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Small questions that passes ask of graphs while they look for a pattern. All take null and answer
// "no".
#pragma once

#include <initializer_list>
#include <optional>
#include <string_view>
#include <vector>

#include "lib/ir/graph.h"

namespace qeff::passes {

/// The node that makes `value` if it is the ONNX op `op_type`, else null.
ir::Node* ProducedBy(const ir::Value* value, std::string_view op_type);
/// The same for another domain.
ir::Node* ProducedBy(const ir::Value* value, std::string_view domain, std::string_view op_type);
/// True if one node input reads the value and no graph output is it.
bool HasOneUse(const ir::Graph& graph, const ir::Value* value);

/// For a commutative node with two inputs: the other input, if one of them is `value`; null else.
ir::Value* OtherInput(const ir::Node& node, const ir::Value* value);
/// For a commutative node with a scalar f32 constant as one input: that constant and the other
/// input.
struct ScalarOperand {
  float scalar = 0;
  ir::Value* other = nullptr;
};
std::optional<ScalarOperand> FindScalarOperand(const ir::Node& node);

/// True if `node` is Transpose<perm = permutation>.
bool IsTranspose(const ir::Node* node, const std::vector<int64_t>& permutation);
/// If `value` is [B, heads, T, E] = Transpose<0, 2, 1, 3>(x), returns x [B, T, heads, E].
ir::Value* BeforeHeadTranspose(const ir::Value* value);

/// Reshape(Expand(Unsqueeze(x [B, K, S, E], 2)), [B, K * G, S, E]) -> x: heads before each was
/// repeated G times; `value` itself if they are not repeated.
ir::Value* BeforeRepeat(ir::Value* value);

/// Follows Unsqueeze, Squeeze, Reshape, Identity and Cast between integer types back to the first
/// other value: the data is the same, only the shape differs.
ir::Value* SameData(ir::Value* value);
/// True if the data of `value` is 0, 1, ..., n - 1 along the last axis, all other axes of size 1.
bool IsSlotRange(ir::Value* value);

/// Size of axis `axis` (negative: from the end) if it is a number.
std::optional<int64_t> FixedDim(const ir::Value* value, int axis);
/// Rank, or -1 if unknown.
int Rank(const ir::Value* value);

/// If node is Slice over one axis with constant bounds and step 1: axis (not negative), begin, end
/// (as numbers within the dimension). Requires a fixed dimension on that axis.
struct SliceBounds {
  int64_t axis = 0;
  int64_t begin = 0;
  int64_t end = 0;
  int64_t step = 1;
};
std::optional<SliceBounds> FindSliceBounds(const ir::Node* node);

}  // namespace qeff::passes
