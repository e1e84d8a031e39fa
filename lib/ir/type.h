// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Types of values in a graph: element type and a shape of numbers and symbols. Symbols are the
// specialization symbols of the compiler contract: batch_size, full_batch_size, seq_len, ctx_len,
// comp_ctx_lengths, num_logits_to_keep, ...
//
// The dimension alphabet of every shape comment in this project:
//   B batch, T query tokens, S context tokens, D model, H heads, K kv heads, E head size, F ffn, V
//   vocabulary, X experts.
// Shapes are written in brackets, row-major: [B, T, H, E].
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/support/dtype.h"

namespace qeff::ir {

inline constexpr int kMaxRank = 8;

/// One dimension: a number, a symbol, or unknown.
class Dim {
 public:
  Dim() = default;                                         ///< unknown
  Dim(int64_t value) : value_(value) {}                    // NOLINT: implicit on purpose
  Dim(std::string symbol) : symbol_(std::move(symbol)) {}  // NOLINT: implicit on purpose
  Dim(const char* symbol) : symbol_(symbol) {}             // NOLINT: implicit on purpose

  bool is_number() const { return value_ >= 0; }
  bool is_symbol() const { return !symbol_.empty(); }
  bool is_unknown() const { return !is_number() && !is_symbol(); }
  /// Requires is_number().
  int64_t value() const { return value_; }
  const std::string& symbol() const { return symbol_; }
  /// "32", "seq_len" or "?".
  std::string ToString() const {
    return is_number() ? std::to_string(value_) : is_symbol() ? symbol_ : "?";
  }

  /// Two unknown dimensions are equal as data; that says nothing about their sizes (see SameSize).
  friend bool operator==(const Dim&, const Dim&) = default;

 private:
  int64_t value_ = -1;
  std::string symbol_;
};

/// True if both are known to be the same number for every specialization.
inline bool SameSize(const Dim& a, const Dim& b) { return !a.is_unknown() && a == b; }

using Shape = std::vector<Dim>;

/// Numbers if every dimension is one.
std::optional<std::vector<int64_t>> StaticDims(const Shape& shape);
/// "[batch_size, seq_len, 64]".
std::string ShapeToString(const Shape& shape);
/// Product; 1 for rank 0. Requires no overflow: readers check sizes before they build dims.
int64_t ElementCount(const std::vector<int64_t>& dims);

/// Element type and shape; no shape means that even the rank is unknown.
struct TensorType {
  std::optional<DType> dtype;
  std::optional<Shape> shape;
  friend bool operator==(const TensorType&, const TensorType&) = default;
  std::string ToString() const;  ///< "f32 [batch_size, 1, 512]"
};

}  // namespace qeff::ir
