// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "passes/padding_match.h"

#include <cmath>

#include "passes/match.h"

namespace qeff::passes {
namespace {

constexpr float kPadding = -65504;  ///< as lower-attention writes it

/// Scores are far below: what is added decides alone.
bool IsLow(const ir::Value* value) {
  const auto scalar = ir::ConstantFloat(value);
  return scalar && *scalar <= kPadding && std::isfinite(*scalar);
}

/// True if `value` has a number for each key, the same for all heads and queries.
bool IsRowOfKeys(const ir::Value* value) {
  return Rank(value) == 4 && FixedDim(value, 1) == 1 && FixedDim(value, 2) == 1;
}

/// 1 - float(m) -> the mask.
ir::Value* MaskOfDifference(ir::Value* value) {
  const ir::Node* difference = ProducedBy(value, "Sub");
  if (difference == nullptr || ir::ConstantFloat(difference->input(0)) != 1.0F) return nullptr;
  const ir::Node* cast = ProducedBy(difference->input(1), "Cast");
  if (cast == nullptr) return nullptr;
  ir::Value* keys = cast->input(0);
  if (const ir::Node* expand = ProducedBy(keys, "Expand")) keys = expand->input(0);
  ir::Value* mask = SameData(keys);
  const bool is_integer = mask->type().dtype && !IsFloat(*mask->type().dtype);
  return is_integer && IsRowOfKeys(keys) && Rank(mask) == 2 ? mask : nullptr;
}

}  // namespace

ir::Value* MaskOfPadding(ir::Value* padding) {
  if (const ir::Node* product = ProducedBy(padding, "Mul"))
    return IsLow(product->input(1)) ? MaskOfDifference(product->input(0)) : nullptr;
  const ir::Node* where = ProducedBy(SameData(padding), "Where");
  if (where == nullptr || !IsLow(where->input(1))) return nullptr;
  const ir::Node* condition = where->input(0)->producer();
  if (condition == nullptr) return nullptr;
  if (condition->IsOnnx("Cast")) {
    return condition->input(0) == where->input(2) ? MaskOfDifference(where->input(2)) : nullptr;
  }
  const bool is_mask = condition->IsOnnx("Equal") && ir::ConstantInt(condition->input(1)) == 0 &&
                       ir::ConstantFloat(where->input(2)) == 0.0F;
  return is_mask && Rank(condition->input(0)) == 2 && IsRowOfKeys(padding) ? condition->input(0)
                                                                           : nullptr;
}

}  // namespace qeff::passes
