// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Arithmetic on axes, shapes and positions that many ops share. Included by the files of ops.
#pragma once

#include <type_traits>

#include "lib/ops/context.h"

namespace qeff::ops {

/// Returns `axis` counted from the front. Error: "axis 4 is outside of [-3, 3)".
Result<int64_t> NormalizeAxis(const NodeContext& context, int64_t axis, int64_t rank);
/// The same for a list; also fails if one axis comes twice.
Result<std::vector<int64_t>> NormalizeAxes(const NodeContext& context, std::vector<int64_t> axes,
                                           int64_t rank);

/// Returns `index` counted from the front of an axis. Error: "index 9 is outside of [-8, 8)".
Result<int64_t> CheckedIndex(const NodeContext& context, int64_t index, int64_t size);

/// Sizes that broadcast together, axis by axis from the last. A symbol wins over 1 and gives way to
/// a number greater than 1; two different symbols give unknown. Error: "cannot broadcast [2, 3]
/// with [4]".
Result<ir::Shape> BroadcastShapes(const NodeContext& context, const ir::Shape& a,
                                  const ir::Shape& b);
Result<std::vector<int64_t>> BroadcastDims(const NodeContext& context, std::vector<int64_t> a,
                                           const std::vector<int64_t>& b);

// Arithmetic of elements; integers wrap around where plain signed arithmetic would be undefined.
template <typename Element>
Element WrappingAdd(Element a, Element b) {
  if constexpr (std::is_integral_v<Element>) {
    Element sum;
    (void)__builtin_add_overflow(a, b, &sum);
    return sum;
  } else {
    return a + b;
  }
}
template <typename Element>
Element WrappingMultiply(Element a, Element b) {
  if constexpr (std::is_integral_v<Element>) {
    Element product;
    (void)__builtin_mul_overflow(a, b, &product);
    return product;
  } else {
    return a * b;
  }
}

/// Elements between neighbours of each axis, row-major.
std::vector<int64_t> Strides(std::span<const int64_t> dims);
/// Strides of `dims` as seen from `out_dims`, to which it broadcasts: 0 along repeated axes.
std::vector<int64_t> BroadcastStrides(std::span<const int64_t> dims,
                                      std::span<const int64_t> out_dims);
/// For each position of `dims` in row-major order: the sum of index[i] * strides[i].
std::vector<int64_t> Offsets(std::span<const int64_t> dims, std::span<const int64_t> strides);

/// Writes to each element i of `target` element sources[i] of `source`.
void Take(const Tensor& source, std::span<const int64_t> sources, Tensor& target);

/// The tensor seen as [outer, axis size, inner].
struct AxisView {
  int64_t outer = 1;
  int64_t size = 1;
  int64_t inner = 1;
};
/// Axes from `axis` up to and without `end` form the middle.
AxisView ViewAxes(std::span<const int64_t> dims, int64_t axis, int64_t end);
inline AxisView ViewAxis(std::span<const int64_t> dims, int64_t axis) {
  return ViewAxes(dims, axis, axis + 1);
}

/// Product of sizes; unknown if one is.
SymbolicInt SizeProduct(std::span<const ir::Dim> dims);

}  // namespace qeff::ops
