// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Integers that graphs compute from shapes: numbers, symbols, and sums and products of them
// ("batch_size*seq_len", "seq_len + 1"), or unknown. Type inference carries them from Shape nodes
// to the Reshape, Expand, Slice, Range that use them. Every symbol stands for a size, so it is at
// least 1.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "lib/ir/type.h"

namespace qeff::ops {

/// A polynomial with integer coefficients over symbols, or unknown. Arithmetic is exact; what would
/// overflow or grow beyond kMostTerms or kMostFactors becomes unknown.
class SymbolicInt {
 public:
  static constexpr size_t kMostTerms = 8;
  static constexpr size_t kMostFactors = 8;

  SymbolicInt() = default;     ///< unknown
  SymbolicInt(int64_t value);  // NOLINT: implicit on purpose
  /// A dimension; a symbol's text is read as ToDim writes it, other text is one symbol.
  static SymbolicInt FromDim(const ir::Dim& dim);

  bool is_unknown() const { return !is_known_; }
  bool is_number() const;
  /// Requires is_number().
  int64_t number() const;
  /// The dimension of this size: a number, or a symbol such as "seq_len" or "2*seq_len + 1".
  /// Unknown if it is unknown or a negative number.
  ir::Dim ToDim() const;
  /// "3", "batch_size*seq_len", "?".
  std::string ToString() const;

  /// True if it is greater than 0 whatever the symbols stand for.
  bool IsPositive() const;

  friend SymbolicInt operator+(const SymbolicInt& a, const SymbolicInt& b);
  friend SymbolicInt operator-(const SymbolicInt& a, const SymbolicInt& b);
  friend SymbolicInt operator*(const SymbolicInt& a, const SymbolicInt& b);
  /// Exact quotient; unknown if the division leaves a rest or `b` is a sum with symbols, 0 or
  /// unknown.
  friend SymbolicInt operator/(const SymbolicInt& a, const SymbolicInt& b);
  /// The quotient rounded down, for divisor > 0: what does not divide becomes a symbol of its own,
  /// (seq_len + 1) / 2 = "floor_div(seq_len+1,2)".
  SymbolicInt FloorDivide(int64_t divisor) const;
  /// The same value as data: unknown equals unknown.
  friend bool operator==(const SymbolicInt&, const SymbolicInt&) = default;
  /// This value with symbols replaced by numbers; symbols that `numbers` lacks stay.
  SymbolicInt Substitute(const std::map<std::string, int64_t>& numbers) const;
  /// The names in it, sorted.
  std::vector<std::string> Symbols() const;

 private:
  using Factors = std::vector<std::string>;  // sorted; a square holds its symbol twice

  static SymbolicInt Symbol(std::string name);
  void AddTerm(const Factors& factors, int64_t coefficient);
  static SymbolicInt Parse(const std::string& text);

  bool is_known_ = false;
  std::map<Factors, int64_t>
      terms_;  // no zero coefficients; the number is the term without factors
};

/// Values of a small tensor, row-major; single elements may be unknown.
using SymbolicInts = std::vector<SymbolicInt>;

}  // namespace qeff::ops
