// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/plan/view.h"

namespace qeff::cpu {

int64_t ElementCount(const View& view) {
  int64_t count = 1;
  for (const int64_t dim : view.dims) count *= dim;
  return count;
}

int64_t Extent(const View& view) {
  int64_t last = 0;
  for (size_t i = 0; i < view.dims.size(); ++i) {
    if (view.dims[i] == 0) return 0;
    last += (view.dims[i] - 1) * view.strides[i];
  }
  return last + 1;
}

std::vector<int64_t> DenseStrides(const std::vector<int64_t>& dims) {
  std::vector<int64_t> strides(dims.size(), 1);
  for (size_t i = dims.size(); i-- > 1;) strides[i - 1] = strides[i] * dims[i];
  return strides;
}

bool IsDense(const View& view) {
  int64_t expected = 1;
  for (size_t i = view.dims.size(); i-- > 0;) {
    if (view.dims[i] != 1 && view.strides[i] != expected) return false;
    expected *= view.dims[i];
  }
  return true;
}

bool HasRepeats(const View& view) {
  for (size_t i = 0; i < view.dims.size(); ++i) {
    if (view.dims[i] > 1 && view.strides[i] == 0) return true;
  }
  return false;
}

std::optional<Rows> RowsOf(const View& view) {
  Rows rows;
  if (view.dims.empty()) return rows;
  rows.width = view.dims.back();
  if (rows.width != 1 && view.strides.back() != 1) return std::nullopt;
  rows.stride = rows.width;
  int64_t expected = -1;  // stride of the next dimension outwards; -1: free
  for (size_t i = view.dims.size() - 1; i-- > 0;) {
    if (view.dims[i] == 1) continue;
    if (expected < 0) {
      rows.stride = view.strides[i];
    } else if (view.strides[i] != expected) {
      return std::nullopt;
    }
    expected = view.strides[i] * view.dims[i];
    rows.count *= view.dims[i];
  }
  return rows;
}

std::optional<View> Reshaped(const View& view, const std::vector<int64_t>& dims) {
  View result = view;
  result.dims = dims;
  if (IsDense(view)) {
    result.strides = DenseStrides(dims);
    return result;
  }
  // Walks both shapes from the end; each new dimension must divide the run of old ones that it
  // falls into.
  result.strides.assign(dims.size(), 0);
  size_t old = view.dims.size();
  int64_t left = 1;    // elements of the current run that no new dimension has taken
  int64_t stride = 0;  // of the current run's next element
  for (size_t i = dims.size(); i-- > 0;) {
    if (dims[i] == 1) continue;
    if (dims[i] == 0) return std::nullopt;
    if (left == 1) {
      while (old > 0 && view.dims[old - 1] == 1) --old;
      if (old == 0) return std::nullopt;
      --old;
      left = view.dims[old];
      stride = view.strides[old];
      while (old > 0 && (view.dims[old - 1] == 1 || view.strides[old - 1] == stride * left)) {
        left *= view.dims[old - 1];
        --old;
      }
    }
    if (left % dims[i] != 0) return std::nullopt;
    result.strides[i] = stride;
    stride *= dims[i];
    left /= dims[i];
  }
  return result;
}

DType HeldDType(DType dtype) { return IsFloat(dtype) ? DType::kF32 : dtype; }

int64_t ElementBytes(DType dtype) { return DTypeBits(dtype) / 8; }

}  // namespace qeff::cpu
