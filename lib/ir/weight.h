// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// A weight is a recipe, not an array: which bytes of which file, then transpose, slice,
// concatenate, convert, ... Recipes are immutable and shared. Writers evaluate them in bounded
// blocks (ReadWeight), so the memory that a stage needs does not grow with the model. Small
// constants of a graph are recipes of kind kInline.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "lib/ir/type.h"
#include "lib/support/file.h"
#include "lib/support/status.h"

namespace qeff::ir {

class Weight;
using WeightPtr = std::shared_ptr<const Weight>;
using MappedFilePtr = std::shared_ptr<const MappedFile>;

/// Bytes held in memory (small constants).
struct InlineBytes {
  std::vector<std::byte> bytes;
};
/// Row-major little-endian elements in a file. The reader that made it has checked the range.
struct FileBytes {
  MappedFilePtr file;
  int64_t offset_bytes = 0;
};
/// result dim i = source dim permutation[i].
struct TransposeOf {
  WeightPtr source;
  std::vector<int64_t> permutation;
};
/// Elements [begin, end) of `axis`.
struct SliceOf {
  WeightPtr source;
  int axis = 0;
  int64_t begin = 0;
  int64_t end = 0;
};
struct ConcatOf {
  std::vector<WeightPtr> parts;
  int axis = 0;
};
/// The same elements in row-major order with other dims.
struct ReshapeOf {
  WeightPtr source;
};
/// Elements converted to the result's dtype, rounding to nearest even.
struct ConvertOf {
  WeightPtr source;
};
/// source + constant, computed in f32.
struct PlusConstantOf {
  WeightPtr source;
  float constant = 0;
};
/// Row t, column i of [rows, 2 * n]: cos or sin of float(t) * inverse_frequencies[i mod n], times
/// `scale`. The product is rounded to f32 as transformers does, the function is evaluated in double
/// and rounded once.
struct RopeTable {
  bool is_sine = false;
  std::vector<float> inverse_frequencies;  ///< [n]
  float scale = 1;
};

class Weight {
 public:
  using Recipe = std::variant<InlineBytes, FileBytes, TransposeOf, SliceOf, ConcatOf, ReshapeOf,
                              ConvertOf, PlusConstantOf, RopeTable>;

  Weight(DType dtype, std::vector<int64_t> dims, Recipe recipe)
      : dtype_(dtype), dims_(std::move(dims)), recipe_(std::move(recipe)) {}

  DType dtype() const { return dtype_; }
  const std::vector<int64_t>& dims() const { return dims_; }
  const Recipe& recipe() const { return recipe_; }
  int64_t element_count() const { return ElementCount(dims_); }
  int64_t size_bytes() const { return DTypeBytes(dtype_, element_count()); }
  TensorType type() const;

 private:
  DType dtype_;
  std::vector<int64_t> dims_;
  Recipe recipe_;
};

// Builders. They simplify where that is exact: a transpose of a transpose, a slice of everything, a
// conversion to the same dtype, ... give the simpler recipe, so that structurally equal recipes
// compare equal.

WeightPtr MakeInline(DType dtype, std::vector<int64_t> dims, std::vector<std::byte> bytes);
WeightPtr MakeInts(std::vector<int64_t> dims, std::span<const int64_t> values);  ///< i64
WeightPtr MakeIntVector(std::span<const int64_t> values);                        ///< i64 [n]
WeightPtr MakeIntScalar(int64_t value);                                          ///< i64 []
WeightPtr MakeFloats(std::vector<int64_t> dims, std::span<const float> values);  ///< f32
WeightPtr MakeFloatScalar(float value);                                          ///< f32 []
WeightPtr FromFile(MappedFilePtr file, int64_t offset_bytes, DType dtype,
                   std::vector<int64_t> dims);
WeightPtr Transposed(WeightPtr source, std::vector<int64_t> permutation);
WeightPtr Transposed(WeightPtr source);  ///< swaps the two axes of a matrix
WeightPtr Sliced(WeightPtr source, int axis, int64_t begin, int64_t end);
WeightPtr Concatenated(std::vector<WeightPtr> parts, int axis);
WeightPtr Reshaped(WeightPtr source, std::vector<int64_t> dims);
WeightPtr Converted(WeightPtr source, DType dtype);
WeightPtr PlusConstant(WeightPtr source, float constant);
/// f32 [rows, 2 * inverse_frequencies.size()].
WeightPtr MakeRopeTable(int64_t rows, RopeTable table);

/// True if the recipes are the same, file by path.
bool SameRecipe(const Weight& a, const Weight& b);
/// One line for people, e.g. "transpose(model.safetensors@1024 bf16 [64, 128])".
std::string DescribeWeight(const Weight& weight);

/// A half-open range of one axis.
struct Range {
  int64_t begin = 0;
  int64_t end = 0;
};

/// Writes the block given by one range per axis to `out`, row-major and dense, in the weight's
/// dtype. `out` has exactly the block's bytes. Memory: a few times the block, plus, for a reshape,
/// all elements of the source that share the block's leading axes. Sub-byte dtypes: only blocks
/// whose parts start and end on byte borders. Errors: kUnsupported for a conversion between dtypes
/// that has no meaning here.
Status ReadWeight(const Weight& weight, std::span<const Range> block, std::span<std::byte> out);
/// Rows [begin, end) of axis 0, all of the other axes. A scalar has one row.
Status ReadWeightRows(const Weight& weight, Range rows, std::span<std::byte> out);
/// The whole weight, for small ones.
Result<std::vector<std::byte>> ReadWholeWeight(const Weight& weight);
/// All elements as f32 or as i64 (from any integer or bool dtype), for small ones.
Result<std::vector<float>> ReadFloats(const Weight& weight);
Result<std::vector<int64_t>> ReadInts(const Weight& weight);

/// Lets go of the file pages under the recipe, which ReadWeight has brought into memory.
void ReleasePages(const Weight& weight);

/// Calls `visit` for every FileBytes leaf, in recipe order, with the leaf's weight.
template <typename Visitor>
void ForEachFileLeaf(const Weight& weight, const Visitor& visit);

/// The recipes directly under this one.
std::vector<WeightPtr> Sources(const Weight& weight);

template <typename Visitor>
void ForEachFileLeaf(const Weight& weight, const Visitor& visit) {
  if (const auto* leaf = std::get_if<FileBytes>(&weight.recipe())) visit(*leaf, weight);
  for (const WeightPtr& source : Sources(weight)) ForEachFileLeaf(*source, visit);
}

}  // namespace qeff::ir
