// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "passes/match.h"

#include <algorithm>

namespace qeff::passes {

ir::Node* ProducedBy(const ir::Value* value, std::string_view op_type) {
  return ProducedBy(value, "", op_type);
}

ir::Node* ProducedBy(const ir::Value* value, std::string_view domain, std::string_view op_type) {
  ir::Node* node = value ? value->producer() : nullptr;
  return node != nullptr && node->Is(domain, op_type) ? node : nullptr;
}

bool HasOneUse(const ir::Graph& graph, const ir::Value* value) {
  return value != nullptr && value->uses().size() == 1 && !graph.IsOutput(value);
}

ir::Value* OtherInput(const ir::Node& node, const ir::Value* value) {
  if (node.inputs().size() != 2) return nullptr;
  if (node.input(0) == value) return node.input(1);
  return node.input(1) == value ? node.input(0) : nullptr;
}

std::optional<ScalarOperand> FindScalarOperand(const ir::Node& node) {
  if (node.inputs().size() != 2) return std::nullopt;
  for (const size_t i : {size_t{1}, size_t{0}}) {
    if (const auto scalar = ir::ConstantFloat(node.input(i)))
      return ScalarOperand{*scalar, node.input(1 - i)};
  }
  return std::nullopt;
}

bool IsTranspose(const ir::Node* node, const std::vector<int64_t>& permutation) {
  return node != nullptr && node->IsOnnx("Transpose") && node->IntsAttribute("perm") == permutation;
}

ir::Value* BeforeHeadTranspose(const ir::Value* value) {
  const ir::Node* node = value ? value->producer() : nullptr;
  return IsTranspose(node, {0, 2, 1, 3}) ? node->input(0) : nullptr;
}

ir::Value* BeforeRepeat(ir::Value* value) {
  const ir::Node* reshape = ProducedBy(value, "Reshape");
  const ir::Node* expand = reshape ? ProducedBy(reshape->input(0), "Expand") : nullptr;
  const ir::Node* unsqueeze = expand ? ProducedBy(expand->input(0), "Unsqueeze") : nullptr;
  if (unsqueeze == nullptr || ir::ConstantInt(unsqueeze->input(1)) != 2 ||
      Rank(expand->output()) != 5)
    return value;
  const auto kv_heads = FixedDim(expand->output(), 1);
  const auto groups = FixedDim(expand->output(), 2);
  if (!kv_heads || !groups || FixedDim(value, 1) != *kv_heads * *groups) return value;
  return unsqueeze->input(0);
}

ir::Value* SameData(ir::Value* value) {
  while (value != nullptr && value->producer() != nullptr) {
    const ir::Node* node = value->producer();
    const bool shape_only = node->IsOnnx("Unsqueeze") || node->IsOnnx("Squeeze") ||
                            node->IsOnnx("Reshape") || node->IsOnnx("Identity");
    const auto is_integer = [](const ir::Value* v) {
      return v->type().dtype && !IsFloat(*v->type().dtype);
    };
    const bool integer_cast =
        node->IsOnnx("Cast") && is_integer(node->input(0)) && is_integer(value);
    if (!shape_only && !integer_cast) break;
    value = node->input(0);
  }
  return value;
}

bool IsSlotRange(ir::Value* value) {
  const ir::Node* range = ProducedBy(SameData(value), "Range");
  if (range == nullptr || ir::ConstantInt(range->input(0)) != 0 ||
      ir::ConstantInt(range->input(2)) != 1)
    return false;
  const int rank = Rank(value);
  for (int axis = 0; axis + 1 < rank; ++axis) {
    if (FixedDim(value, axis) != 1) return false;
  }
  return rank >= 1;
}

std::optional<int64_t> FixedDim(const ir::Value* value, int axis) {
  if (value == nullptr || !value->type().shape) return std::nullopt;
  const ir::Shape& shape = *value->type().shape;
  const auto rank = static_cast<int>(shape.size());
  if (axis < 0) axis += rank;
  if (axis < 0 || axis >= rank || !shape[static_cast<size_t>(axis)].is_number())
    return std::nullopt;
  return shape[static_cast<size_t>(axis)].value();
}

int Rank(const ir::Value* value) {
  return value != nullptr && value->type().shape ? static_cast<int>(value->type().shape->size())
                                                 : -1;
}

std::optional<SliceBounds> FindSliceBounds(const ir::Node* node) {
  if (node == nullptr || !node->IsOnnx("Slice")) return std::nullopt;
  const auto begin = ir::ConstantInt(node->input(1));
  const auto end = ir::ConstantInt(node->input(2));
  const auto axis = node->input(3) ? ir::ConstantInt(node->input(3)) : std::optional<int64_t>(0);
  const auto step = node->input(4) ? ir::ConstantInt(node->input(4)) : std::optional<int64_t>(1);
  if (!begin || !end || !axis || !step || *step < 1) return std::nullopt;
  const auto size = FixedDim(node->input(0), static_cast<int>(*axis));
  if (!size) return std::nullopt;
  const auto clamp = [&](int64_t at) {
    return std::clamp<int64_t>(at < 0 ? at + *size : at, 0, *size);
  };
  return SliceBounds{*axis < 0 ? *axis + Rank(node->input(0)) : *axis, clamp(*begin), clamp(*end),
                     *step};
}

}  // namespace qeff::passes
