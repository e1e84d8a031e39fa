// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Where a value lies while a program is planned: a strided view of a storage. Reshapes, slices and
// transposes are views; steps that need dense rows ask for them.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "lib/support/dtype.h"

namespace qeff::cpu {

struct View {
  int32_t storage = -1;  ///< -1: none
  DType dtype = DType::kF32;
  int64_t offset = 0;  ///< elements from the start of the storage
  std::vector<int64_t> dims;
  std::vector<int64_t> strides;  ///< elements; 0 repeats
  /// Nobody else reads these elements: a step that is the only reader may overwrite them.
  bool is_exclusive = false;

  bool exists() const { return storage >= 0; }
};

int64_t ElementCount(const View& view);
/// Elements from `offset` to the end of the last one; 0 if the view is empty.
int64_t Extent(const View& view);
bool IsDense(const View& view);
/// True if a dimension of more than one repeats its elements.
bool HasRepeats(const View& view);
std::vector<int64_t> DenseStrides(const std::vector<int64_t>& dims);

/// A view as rows of its last dimension, which is contiguous.
struct Rows {
  int64_t count = 1;
  int64_t width = 1;
  int64_t stride = 1;
};
/// Nothing if the leading dimensions do not make one even series.
std::optional<Rows> RowsOf(const View& view);

/// The same elements with other dims, if that needs no copy.
std::optional<View> Reshaped(const View& view, const std::vector<int64_t>& dims);

/// Bytes of one element; of dtypes of whole bytes.
int64_t ElementBytes(DType dtype);
/// Floats are held as f32, the other dtypes as they are.
DType HeldDType(DType dtype);

}  // namespace qeff::cpu
