// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/ops/shape_rules.h"

#include <algorithm>

namespace qeff::ops {
namespace {

std::optional<ir::Dim> BroadcastDim(const ir::Dim& a, const ir::Dim& b) {
  if (a == b) return a;
  if (a.is_number() && a.value() == 1) return b;
  if (b.is_number() && b.value() == 1) return a;
  if (a.is_number() && b.is_number()) return std::nullopt;
  if (a.is_number()) return a;
  if (b.is_number()) return b;
  return ir::Dim();
}

}  // namespace

Result<int64_t> NormalizeAxis(const NodeContext& context, int64_t axis, int64_t rank) {
  if (axis < -rank || axis >= rank) {
    return context.Invalid(fmt::format("axis {} is outside of [{}, {})", axis, -rank, rank));
  }
  return axis < 0 ? axis + rank : axis;
}

Result<std::vector<int64_t>> NormalizeAxes(const NodeContext& context, std::vector<int64_t> axes,
                                           int64_t rank) {
  std::vector<bool> seen(static_cast<size_t>(rank));
  for (int64_t& axis : axes) {
    QEFF_ASSIGN_OR_RETURN(axis, NormalizeAxis(context, axis, rank));
    if (seen[static_cast<size_t>(axis)]) {
      return context.Invalid(fmt::format("axis {} is named twice", axis));
    }
    seen[static_cast<size_t>(axis)] = true;
  }
  return axes;
}

Result<int64_t> CheckedIndex(const NodeContext& context, int64_t index, int64_t size) {
  if (index < -size || index >= size) {
    return context.Invalid(fmt::format("index {} is outside of [{}, {})", index, -size, size));
  }
  return index < 0 ? index + size : index;
}

Result<ir::Shape> BroadcastShapes(const NodeContext& context, const ir::Shape& a,
                                  const ir::Shape& b) {
  ir::Shape result(std::max(a.size(), b.size()), 1);
  for (size_t back = 1; back <= result.size(); ++back) {
    const ir::Dim left = back <= a.size() ? a[a.size() - back] : 1;
    const ir::Dim right = back <= b.size() ? b[b.size() - back] : 1;
    const std::optional<ir::Dim> dim = BroadcastDim(left, right);
    if (!dim) {
      return context.Invalid(
          fmt::format("cannot broadcast {} with {}", ir::ShapeToString(a), ir::ShapeToString(b)));
    }
    result[result.size() - back] = *dim;
  }
  return result;
}

Result<std::vector<int64_t>> BroadcastDims(const NodeContext& context, std::vector<int64_t> a,
                                           const std::vector<int64_t>& b) {
  QEFF_ASSIGN_OR_RETURN(
      const ir::Shape shape,
      BroadcastShapes(context, ir::Shape(a.begin(), a.end()), ir::Shape(b.begin(), b.end())));
  return *ir::StaticDims(shape);
}

std::vector<int64_t> Strides(std::span<const int64_t> dims) {
  std::vector<int64_t> strides(dims.size(), 1);
  for (size_t i = dims.size(); i-- > 1;) {
    // An empty tensor may have sizes whose product overflows; its strides are never used.
    if (__builtin_mul_overflow(strides[i], dims[i], &strides[i - 1])) strides[i - 1] = 0;
  }
  return strides;
}

std::vector<int64_t> BroadcastStrides(std::span<const int64_t> dims,
                                      std::span<const int64_t> out_dims) {
  const std::vector<int64_t> own = Strides(dims);
  std::vector<int64_t> strides(out_dims.size(), 0);
  const size_t added = out_dims.size() - dims.size();
  for (size_t i = 0; i < dims.size(); ++i) strides[added + i] = dims[i] == 1 ? 0 : own[i];
  return strides;
}

std::vector<int64_t> Offsets(std::span<const int64_t> dims, std::span<const int64_t> strides) {
  const int64_t count = CheckedElementCount(dims);
  std::vector<int64_t> offsets(static_cast<size_t>(std::max<int64_t>(count, 0)));
  std::vector<int64_t> index(dims.size());
  int64_t offset = 0;
  for (int64_t& place : offsets) {
    place = offset;
    for (size_t axis = dims.size(); axis-- > 0;) {
      offset += strides[axis];
      if (++index[axis] < dims[axis]) break;
      offset -= strides[axis] * dims[axis];
      index[axis] = 0;
    }
  }
  return offsets;
}

void Take(const Tensor& source, std::span<const int64_t> sources, Tensor& target) {
  WithElements(source, target, [&](const auto& from, auto& to) {
    for (size_t i = 0; i < sources.size(); ++i) to[i] = from[static_cast<size_t>(sources[i])];
  });
}

AxisView ViewAxes(std::span<const int64_t> dims, int64_t axis, int64_t end) {
  AxisView view;
  for (int64_t i = 0; i < static_cast<int64_t>(dims.size()); ++i) {
    int64_t& part = i < axis ? view.outer : i < end ? view.size : view.inner;
    if (__builtin_mul_overflow(part, dims[static_cast<size_t>(i)], &part)) part = 0;
  }
  return view;
}

SymbolicInt SizeProduct(std::span<const ir::Dim> dims) {
  SymbolicInt product(1);
  for (const ir::Dim& dim : dims) product = product * SymbolicInt::FromDim(dim);
  return product;
}

}  // namespace qeff::ops
