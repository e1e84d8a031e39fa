// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Values of the reference meaning of ops: every float dtype in double, every integer dtype and bool
// in int64. Slow and plain on purpose: this is what backends are compared with, not what runs
// models.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "lib/ir/weight.h"

namespace qeff::ops {

/// No reference value may have more elements (8 GiB): bounds what a hostile graph can ask for.
inline constexpr int64_t kMostElements = int64_t{1} << 30;

/// A row-major value. Of a float dtype: `floats` holds the elements, which need not be
/// representable in that dtype (only Cast rounds). Of any other dtype: `ints` holds them, in the
/// dtype's range; bool as 0 and 1.
struct Tensor {
  DType dtype = DType::kF32;
  std::vector<int64_t> dims;
  std::vector<double> floats;
  std::vector<int64_t> ints;

  bool is_float() const { return IsFloat(dtype); }
  int64_t element_count() const {
    return static_cast<int64_t>(is_float() ? floats.size() : ints.size());
  }
  /// Element `index` as a number of either kind.
  double number(int64_t index) const {
    const auto at = static_cast<size_t>(index);
    return is_float() ? floats[at] : static_cast<double>(ints[at]);
  }
  std::string TypeText() const;  ///< "f32 [2, 3]"
};

/// Product of `dims`; -1 if one is negative or the product of the others than 0 exceeds
/// kMostElements.
int64_t CheckedElementCount(std::span<const int64_t> dims);

/// All elements 0. Requires CheckedElementCount(dims) >= 0.
Tensor ZeroTensor(DType dtype, std::vector<int64_t> dims);
Tensor IntTensor(std::vector<int64_t> dims, std::vector<int64_t> values);  ///< i64

/// Returns `value` rounded to the nearest `dtype` (ties to even; beyond the range: infinity).
/// Requires f64, f32, f16 or bf16.
double RoundToFloat(double value, DType dtype);
/// Returns the low bits of `value` as `dtype` reads them, as two's complement hardware does.
int64_t WrapToInt(int64_t value, DType dtype);
/// Returns `value` without its fraction, clamped to the range of `dtype`; NaN gives 0.
int64_t FloatToInt(double value, DType dtype);

/// Decodes little-endian elements. Errors: kUnsupported for a dtype without a reference meaning
/// (8-bit and narrower floats, complex); kInvalidInput if the number of bytes does not fit.
Result<Tensor> TensorFromBytes(DType dtype, std::vector<int64_t> dims,
                               std::span<const std::byte> bytes);
/// Encodes to `out`, rounding and wrapping to the tensor's dtype. Errors: as TensorFromBytes.
Status TensorToBytes(const Tensor& tensor, std::span<std::byte> out);

/// Evaluates a recipe. Errors: those of ReadWeight and TensorFromBytes.
Result<Tensor> TensorFromWeight(const ir::Weight& weight);

}  // namespace qeff::ops
