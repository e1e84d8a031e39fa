// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/families/blocks/relative_position.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "lib/families/blocks/layer.h"

namespace qeff::families {
namespace {

/// The rows of -reach .. reach.
DistanceRows RowsUpTo(int64_t reach, const std::function<int64_t(int64_t)>& row) {
  DistanceRows rows;
  for (int64_t distance = -reach; distance <= reach; ++distance) rows.push_back(row(distance));
  return rows;
}

}  // namespace

DistanceRows LogarithmicDistanceRows(int64_t num_rows, int64_t max_distance) {
  const int64_t half = num_rows / 2;
  const int64_t exact = half / 2;
  QEFF_CHECK(exact >= 1 && max_distance > exact, "distances {} {}", num_rows, max_distance);
  const auto steps =
      static_cast<float>(std::log(static_cast<double>(max_distance) / static_cast<double>(exact)));
  return RowsUpTo(max_distance, [&](int64_t distance) {
    const int64_t away = std::abs(distance);
    int64_t row = away;
    if (away >= exact) {
      const float grown = std::log(static_cast<float>(away) / static_cast<float>(exact)) / steps;
      row = exact + static_cast<int64_t>(grown * static_cast<float>(half - exact));
    }
    return std::min(row, half - 1) + (distance > 0 ? half : 0);
  });
}

DistanceRows DisentangledDistanceRows(int64_t span, int64_t buckets, int64_t max_distance) {
  const auto clamped = [span](int64_t distance) {
    return std::clamp<int64_t>(distance + span, 0, 2 * span - 1);
  };
  if (buckets == 0) return RowsUpTo(span, clamped);
  const int64_t middle = buckets / 2;
  QEFF_CHECK(middle >= 2 && buckets % 2 == 0 && max_distance - 1 > middle, "distances {} {}",
             buckets, max_distance);
  const auto ratio = [middle](int64_t distance) {
    return std::log(static_cast<float>(distance) / static_cast<float>(middle));
  };
  const auto largest = std::log(
      static_cast<float>(static_cast<double>(max_distance - 1) / static_cast<double>(middle)));
  // The last row begins at max_distance, or later where float32 rounds it away.
  return RowsUpTo(2 * max_distance, [&](int64_t distance) {
    const int64_t away = std::abs(distance);
    if (away <= middle) return clamped(distance);
    const float step = std::ceil(ratio(away) / largest * static_cast<float>(middle - 1));
    const int64_t bucket = static_cast<int64_t>(step) + middle;
    return clamped(distance < 0 ? -bucket : bucket);
  });
}

ir::Value* AddDistanceRows(Builder& builder, const std::string& scope, ir::Value* input_ids,
                           const DistanceRows& rows) {
  const auto op = [&](std::string_view type, std::vector<ir::Value*> inputs,
                      ir::AttributeMap attributes = {}) {
    return builder.Onnx(scope, type, std::move(inputs), std::move(attributes));
  };
  const auto reach = static_cast<int64_t>(rows.size() / 2);
  ir::Value* tokens = op("Gather", {op("Shape", {input_ids}), builder.Int(1)});
  ir::Value* positions = op("Range", {builder.Int(0), tokens, builder.Int(1)});
  const auto unsqueezed = [&](int64_t axis) {
    return op("Unsqueeze", {positions, builder.Constant("axis", ir::MakeIntVector({{axis}}))});
  };
  ir::Value* distance = op("Sub", {unsqueezed(0), unsqueezed(1)});
  distance = op("Min", {op("Max", {distance, builder.Int(-reach)}), builder.Int(reach)});
  ir::Value* table = builder.Constant("distance_rows", ir::MakeIntVector(rows));
  return op("Gather", {table, op("Add", {distance, builder.Int(reach)})}, {{"axis", int64_t{0}}});
}

ir::Value* AddDistanceBias(Builder& builder, const std::string& scope, ir::Value* input_ids,
                           ir::Value* table, const DistanceRows& rows) {
  ir::Value* chosen = AddDistanceRows(builder, scope, input_ids, rows);
  ir::Value* bias = builder.Onnx(scope, "Gather", {table, chosen}, {{"axis", int64_t{0}}});
  bias = builder.Onnx(scope, "Transpose", {bias}, {{"perm", std::vector<int64_t>{2, 0, 1}}});
  return builder.Onnx(scope, "Unsqueeze",
                      {bias, builder.Constant("axis", ir::MakeIntVector({{int64_t{0}}}))});
}

ir::Value* AddDistanceScores(Builder& builder, const std::string& scope, ir::Value* x,
                             ir::Value* table, ir::Value* rows, int64_t heads, int64_t head_size) {
  const auto op = [&](std::string_view type, std::vector<ir::Value*> inputs,
                      ir::AttributeMap attributes = {}) {
    return builder.Onnx(scope, type, std::move(inputs), std::move(attributes));
  };
  const auto transposed = [&](ir::Value* value, std::vector<int64_t> axes) {
    return op("Transpose", {value}, {{"perm", std::move(axes)}});
  };
  x = transposed(AddReshape(builder, scope, x, {0, 0, heads, head_size}), {0, 2, 1, 3});
  table = transposed(AddReshape(builder, scope, table, {0, heads, head_size}), {1, 2, 0});
  ir::Value* products = op("MatMul", {x, table});  // [B, H, T, R]
  // GatherElements takes one index for each result.
  ir::Value* dims = op("Concat",
                       {op("Slice", {op("Shape", {products}),
                                     builder.Constant("begin", ir::MakeIntVector({{int64_t{0}}})),
                                     builder.Constant("end", ir::MakeIntVector({{int64_t{3}}}))}),
                        op("Slice", {op("Shape", {rows}),
                                     builder.Constant("begin", ir::MakeIntVector({{int64_t{1}}})),
                                     builder.Constant("end", ir::MakeIntVector({{int64_t{2}}}))})},
                       {{"axis", int64_t{0}}});
  return op("GatherElements", {products, op("Expand", {rows, dims})}, {{"axis", int64_t{3}}});
}

}  // namespace qeff::families
