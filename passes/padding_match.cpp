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

bool IsSumOfTokens(const ir::Value* value, const ir::Value* is_token) {
  const ir::Node* sum = ProducedBy(value, "ReduceSum");
  return sum != nullptr && sum->input(0) == is_token && sum->IntAttribute("keepdims", 1) == 1 &&
         sum->inputs().size() == 2 && ir::ConstantInt(sum->input(1)) == 1;
}

/// range - counted: how many are not counted up to and without this one, or one less.
bool IsRangeLess(const ir::Value* value, const ir::Value* counted) {
  const ir::Node* difference = ProducedBy(value, "Sub");
  if (difference == nullptr || difference->input(1) != counted) return false;
  ir::Value* range = difference->input(0);
  if (const ir::Node* expand = ProducedBy(range, "Expand")) range = expand->input(0);
  return IsSlotRange(range);
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

ir::Value* MaskOfOrder(const ir::Value* positions) {
  const ir::Node* where = ProducedBy(positions, "Where");
  const ir::Node* is_padding = where ? ProducedBy(where->input(0), "Equal") : nullptr;
  const ir::Node* of_padding = where ? ProducedBy(where->input(1), "Add") : nullptr;
  const ir::Node* of_token = where ? ProducedBy(where->input(2), "Sub") : nullptr;
  const ir::Node* count = of_token ? ProducedBy(of_token->input(0), "CumSum") : nullptr;
  const ir::Node* cast = count ? ProducedBy(count->input(0), "Cast") : nullptr;
  const ir::Node* negation = cast ? ProducedBy(cast->input(0), "Not") : nullptr;
  const bool numbers_tokens =
      negation != nullptr && is_padding != nullptr && negation->input(0) == where->input(0) &&
      ir::ConstantInt(is_padding->input(1)) == 0 && ir::ConstantInt(of_token->input(1)) == 1 &&
      ir::ConstantInt(count->input(1)) == 1 && count->IntAttribute("exclusive", 0) == 0 &&
      count->IntAttribute("reverse", 0) == 0;
  const bool padding_follows = numbers_tokens && of_padding != nullptr &&
                               IsRangeLess(of_padding->input(0), count->output()) &&
                               IsSumOfTokens(of_padding->input(1), cast->output());
  ir::Value* mask = padding_follows ? is_padding->input(0) : nullptr;
  return Rank(mask) == 2 && mask->type().dtype == DType::kI64 ? mask : nullptr;
}

}  // namespace qeff::passes
