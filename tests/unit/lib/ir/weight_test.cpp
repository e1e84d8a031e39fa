// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/ir/weight.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <numeric>

#include "lib/support/float16.h"

namespace qeff::ir {
namespace {

std::vector<float> Counting(int64_t count) {
  std::vector<float> values(static_cast<size_t>(count));
  std::iota(values.begin(), values.end(), 0.0F);
  return values;
}

std::vector<float> Block(const Weight& weight, std::vector<Range> block) {
  int64_t count = 1;
  for (const Range& range : block) count *= range.end - range.begin;
  std::vector<float> out(static_cast<size_t>(count));
  REQUIRE(ReadWeight(weight, block, std::as_writable_bytes(std::span(out))).ok());
  return out;
}

}  // namespace

TEST_CASE("blocks of an inline weight are the elements at those places") {
  const WeightPtr weight = MakeFloats({3, 4, 5}, Counting(60));
  for (int64_t a = 0; a < 3; ++a) {
    for (int64_t b = 0; b < 4; ++b) {
      for (int64_t c = 0; c < 5; ++c) {
        for (const auto& [d, e, f] : {std::tuple<int64_t, int64_t, int64_t>{a + 1, b + 1, c + 1},
                                      {3, 4, 5},
                                      {a + 1, 4, 5},
                                      {3, b + 1, 5}}) {
          std::vector<float> expected;
          for (int64_t i = a; i < d; ++i) {
            for (int64_t j = b; j < e; ++j) {
              for (int64_t k = c; k < f; ++k)
                expected.push_back(static_cast<float>((i * 4 + j) * 5 + k));
            }
          }
          CHECK(Block(*weight, {{a, d}, {b, e}, {c, f}}) == expected);
        }
      }
    }
  }
}

TEST_CASE("a transpose of any shape puts element [i, j] at [j, i], block by block") {
  for (const auto& [rows, columns] :
       {std::pair<int64_t, int64_t>{1, 1}, {1, 7}, {7, 1}, {31, 33}, {64, 32}, {65, 100}}) {
    const WeightPtr source = MakeFloats({rows, columns}, Counting(rows * columns));
    const WeightPtr transposed = Transposed(source);
    REQUIRE(transposed->dims() == std::vector<int64_t>{columns, rows});
    for (int64_t begin = 0; begin < columns; begin += 3) {
      const int64_t end = std::min(begin + 3, columns);
      std::vector<float> expected;
      for (int64_t c = begin; c < end; ++c) {
        for (int64_t r = 0; r < rows; ++r) expected.push_back(static_cast<float>(r * columns + c));
      }
      CHECK(Block(*transposed, {{begin, end}, {0, rows}}) == expected);
    }
  }
}

TEST_CASE("a permutation of four axes agrees with index arithmetic") {
  const std::vector<int64_t> dims = {2, 3, 4, 5};
  const std::vector<int64_t> permutation = {2, 0, 3, 1};
  const WeightPtr permuted = Transposed(MakeFloats(dims, Counting(120)), permutation);
  const auto all = ReadFloats(*permuted);
  REQUIRE(all.ok());
  size_t at = 0;
  for (int64_t a = 0; a < 4; ++a) {
    for (int64_t b = 0; b < 2; ++b) {
      for (int64_t c = 0; c < 5; ++c) {
        for (int64_t d = 0; d < 3; ++d)
          CHECK((*all)[at++] == static_cast<float>(((b * 3 + d) * 4 + a) * 5 + c));
      }
    }
  }
}

TEST_CASE("slices, concatenations and reshapes of each other read the right elements") {
  const WeightPtr left = MakeFloats({2, 3}, Counting(6));
  const WeightPtr right = MakeFloats({2, 2}, std::vector<float>{10, 11, 12, 13});
  const WeightPtr joined = Concatenated({left, right}, 1);
  CHECK(ReadFloats(*joined).value() == std::vector<float>{0, 1, 2, 10, 11, 3, 4, 5, 12, 13});
  CHECK(Block(*joined, {{0, 2}, {2, 4}}) == std::vector<float>{2, 10, 5, 12});
  CHECK(ReadFloats(*Sliced(joined, 1, 1, 4)).value() == std::vector<float>{1, 2, 10, 4, 5, 12});
  CHECK(ReadFloats(*Sliced(Sliced(joined, 1, 1, 4), 1, 1, 2)).value() == std::vector<float>{2, 5});
  const WeightPtr reshaped = Reshaped(Transposed(left), {2, 3});
  CHECK(ReadFloats(*reshaped).value() == std::vector<float>{0, 3, 1, 4, 2, 5});
  CHECK(Block(*reshaped, {{1, 2}, {1, 3}}) == std::vector<float>{2, 5});
}

TEST_CASE("blocks of reshapes that keep their leading axes read the right elements") {
  // Stacks of matrices, and pairs split from a last axis: [2, 3, 4] -> [2, 3, 2, 2] -> [2, 3, 2].
  const WeightPtr matrix = Transposed(MakeFloats({4, 3}, Counting(12)));  // no file or inline leaf
  const WeightPtr stack =
      Concatenated({Reshaped(matrix, {1, 3, 4}), Reshaped(matrix, {1, 3, 4})}, 0);
  CHECK(Block(*stack, {{1, 2}, {1, 3}, {1, 3}}) == std::vector<float>{4, 7, 5, 8});
  const WeightPtr pairs = Reshaped(stack, {2, 3, 2, 2});
  CHECK(Block(*pairs, {{0, 1}, {2, 3}, {0, 2}, {1, 2}}) == std::vector<float>{5, 11});
  const WeightPtr second = Reshaped(Sliced(pairs, 3, 1, 2), {2, 3, 2});
  CHECK(Block(*second, {{1, 2}, {1, 3}, {0, 2}}) == std::vector<float>{4, 10, 5, 11});
  CHECK(Block(*second, {{1, 2}, {2, 3}, {1, 2}}) == std::vector<float>{11});
  CHECK(Block(*second, {{1, 2}, {2, 2}, {0, 2}}).empty());
  const WeightPtr swapped = Transposed(second, {0, 2, 1});
  CHECK(ReadFloats(*swapped).value() == std::vector<float>{3, 4, 5, 9, 10, 11, 3, 4, 5, 9, 10, 11});
  CHECK(Block(*swapped, {{0, 1}, {1, 2}, {1, 3}}) == std::vector<float>{10, 11});
}

TEST_CASE("conversions round to nearest even and keep infinities and NaN") {
  const std::vector<float> values = {0,     -0.0F, 1,     1.00390625F, 1.01171875F, 65504, 65520,
                                     1e-8F, 6e-8F, -3.5F, INFINITY,    -INFINITY,   NAN};
  const WeightPtr weight = MakeFloats({static_cast<int64_t>(values.size())}, values);
  const auto through = [&](DType dtype) {
    return ReadFloats(*Converted(Converted(weight, dtype), DType::kF32)).value();
  };
  const std::vector<float> bf16 = through(DType::kBf16);
  CHECK(bf16[3] == 1);          // 1 + 2^-8 lies halfway between 1 and 1 + 2^-7: to even
  CHECK(bf16[4] == 1.015625F);  // 1 + 3 * 2^-8: to even upwards
  const std::vector<float> f16 = through(DType::kF16);
  CHECK(f16[5] == 65504);
  CHECK(f16[6] == INFINITY);  // halfway to 65536
  CHECK(f16[7] == 0);
  CHECK(f16[8] == 5.9604644775390625e-8F);  // the smallest subnormal
  for (const auto& read : {bf16, f16}) {
    CHECK(std::signbit(read[1]));
    CHECK(read[10] == INFINITY);
    CHECK(read[11] == -INFINITY);
    CHECK(std::isnan(read[12]));
  }
}

TEST_CASE("all 16-bit patterns survive the way over f32") {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const bool f16_nan = (half & 0x7c00) == 0x7c00 && (half & 0x3ff) != 0;
    const bool bf16_nan = (half & 0x7f80) == 0x7f80 && (half & 0x7f) != 0;
    if (!f16_nan && F32ToF16(F16ToF32(half)) != half) FAIL("f16 " << half);
    if (!bf16_nan && F32ToBf16(Bf16ToF32(half)) != half) FAIL("bf16 " << half);
  }
}

TEST_CASE("a rope table is cos and sin of the rounded angle, twice side by side") {
  const RopeTable table{.is_sine = true, .inverse_frequencies = {1.0F, 0.1F}, .scale = 2.0F};
  const std::vector<float> values = ReadFloats(*MakeRopeTable(300, table)).value();
  for (const size_t row : {size_t{0}, size_t{1}, size_t{299}}) {
    for (size_t column = 0; column < 4; ++column) {
      const float angle = static_cast<float>(row) * table.inverse_frequencies[column % 2];
      CHECK(values[row * 4 + column] == 2.0F * static_cast<float>(std::sin(double{angle})));
    }
  }
  CHECK(ReadFloats(*Sliced(MakeRopeTable(300, table), 0, 0, 1)).value() ==
        std::vector<float>{0, 0, 0, 0});
}

TEST_CASE("builders simplify what is exact, and recipes compare by structure") {
  const WeightPtr weight = MakeFloats({2, 3}, Counting(6));
  CHECK(Transposed(Transposed(weight)) == weight);
  CHECK(Converted(weight, DType::kF32) == weight);
  CHECK(Sliced(weight, 0, 0, 2) == weight);
  CHECK(SameRecipe(*Transposed(weight), *Transposed(MakeFloats({2, 3}, Counting(6)))));
  CHECK_FALSE(SameRecipe(*weight, *Reshaped(weight, {3, 2})));
  CHECK_FALSE(SameRecipe(*Sliced(weight, 0, 0, 1), *Sliced(weight, 0, 1, 2)));
  CHECK(ReadFloats(*PlusConstant(weight, 1)).value() == std::vector<float>{1, 2, 3, 4, 5, 6});
}

TEST_CASE("conversions stand outermost, and one that widens is undone without a trace") {
  const WeightPtr half = Converted(MakeFloats({2, 3}, Counting(6)), DType::kBf16);
  const WeightPtr wide = Converted(half, DType::kF32);
  CHECK(Converted(wide, DType::kBf16) == half);
  CHECK(Converted(wide, DType::kF16) != half);
  const WeightPtr narrowed = Converted(MakeFloats({1}, std::vector<float>{1.001F}), DType::kBf16);
  CHECK(ReadFloats(*Converted(narrowed, DType::kF32)).value() == std::vector<float>{1.0F});

  const WeightPtr moved[] = {Transposed(wide), Sliced(wide, 1, 1, 3), Reshaped(wide, {3, 2}),
                             Concatenated({wide, wide}, 0)};
  const std::vector<float> expected[] = {
      {0, 3, 1, 4, 2, 5}, {1, 2, 4, 5}, {0, 1, 2, 3, 4, 5}, {0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5}};
  for (size_t i = 0; i < std::size(moved); ++i) {
    CHECK(std::holds_alternative<ConvertOf>(moved[i]->recipe()));
    CHECK(ReadFloats(*moved[i]).value() == expected[i]);
    CHECK(Converted(moved[i], DType::kBf16)->dims() == moved[i]->dims());
  }
  const WeightPtr other = Converted(MakeFloats({2, 3}, Counting(6)), DType::kF16);
  const WeightPtr mixed = Concatenated({wide, Converted(other, DType::kF32)}, 0);
  CHECK(ReadFloats(*mixed).value() == expected[3]);
}

}  // namespace qeff::ir
