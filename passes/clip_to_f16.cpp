// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Brings constants into the range of f16, for compilers that compute in it: beyond, they would
// become infinite there, and an infinity times 0 is no number.
//   Before:  y = Min(x, 1e30)   z = Add(x, {-3.4e38, 0})
//   After:   y = Min(x, 65504)  z = Add(x, {-65504, 0})
// A constant with a value beyond is written out again, whole; others keep their recipes. -Infinity
// stays, as masks mean it; +infinity does not. If the graph will be converted to bf16, the border
// is the largest number of both types, 65280: 65504 would become 65536. Leaves alone: other dtypes
// than f32, values that are not numbers. Option: dtype - what the graph will be converted to; f32
// if it is not given.
#include <algorithm>
#include <cmath>
#include <limits>

#include "passes/pass.h"

namespace qeff::passes {
namespace {

constexpr float kLargestF16 = 65504;
constexpr float kLargestBf16BelowIt = 65280;

float Clipped(float value, float largest) {
  const bool is_mask = value == -std::numeric_limits<float>::infinity();
  // std::clamp returns what is not a number as it is.
  return is_mask ? value : std::clamp(value, -largest, largest);
}

bool IsBeyond(float value, float largest) {
  return !std::isnan(value) && Clipped(value, largest) != value;
}

/// Reads the weight in blocks: it may be larger than memory.
Result<bool> HasValueBeyond(const ir::Weight& weight, float largest) {
  if (weight.element_count() == 0) return false;
  constexpr int64_t kBlockElements = int64_t{1} << 20;
  const int64_t rows = weight.dims().empty() ? 1 : weight.dims().front();
  const int64_t row_elements = weight.element_count() / rows;
  const int64_t block_rows = std::max<int64_t>(1, kBlockElements / row_elements);
  std::vector<float> block;
  for (int64_t begin = 0; begin < rows; begin += block_rows) {
    const int64_t end = std::min(rows, begin + block_rows);
    block.resize(static_cast<size_t>((end - begin) * row_elements));
    QEFF_RETURN_IF_ERROR(
        ir::ReadWeightRows(weight, {begin, end}, std::as_writable_bytes(std::span(block))));
    if (std::ranges::any_of(block, [&](float value) { return IsBeyond(value, largest); }))
      return true;
  }
  ir::ReleasePages(weight);
  return false;
}

Result<Change> ClipGraph(ir::Graph& graph, float largest) {
  Change change = Change::kNone;
  for (ir::Value* constant : graph.constants()) {
    const ir::WeightPtr weight = constant->constant();
    if (weight->dtype() != DType::kF32) continue;
    QEFF_ASSIGN_OR_RETURN(const bool is_beyond, HasValueBeyond(*weight, largest));
    if (!is_beyond) continue;
    QEFF_ASSIGN_OR_RETURN(std::vector<float> values, ir::ReadFloats(*weight));
    for (float& value : values) value = Clipped(value, largest);
    constant->set_constant(ir::MakeFloats(weight->dims(), values));
    change = Change::kChanged;
  }
  return change;
}

}  // namespace

Result<Change> ClipToF16(ir::Model& model, const PassContext& ctx) {
  const float largest = ctx.Option("dtype") == "bf16" ? kLargestBf16BelowIt : kLargestF16;
  QEFF_ASSIGN_OR_RETURN(Change change, ClipGraph(model.graph, largest));
  for (ir::Function& function : model.functions) {
    QEFF_ASSIGN_OR_RETURN(const Change in_function, ClipGraph(function.body, largest));
    change = change | in_function;
  }
  return change;
}

}  // namespace qeff::passes
