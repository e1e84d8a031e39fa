// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/ir/type.h"

namespace qeff::ir {

std::optional<std::vector<int64_t>> StaticDims(const Shape& shape) {
  std::vector<int64_t> dims;
  dims.reserve(shape.size());
  for (const Dim& dim : shape) {
    if (!dim.is_number()) return std::nullopt;
    dims.push_back(dim.value());
  }
  return dims;
}

std::string ShapeToString(const Shape& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i > 0 ? ", " : "") + shape[i].ToString();
  return text + "]";
}

int64_t ElementCount(const std::vector<int64_t>& dims) {
  int64_t count = 1;
  for (const int64_t dim : dims) count *= dim;
  return count;
}

std::string TensorType::ToString() const {
  return std::string(dtype ? DTypeName(*dtype) : "?") + " " +
         (shape ? ShapeToString(*shape) : "[...]");
}

}  // namespace qeff::ir
