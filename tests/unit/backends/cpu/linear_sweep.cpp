// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/backends/cpu/linear_sweep.h"

#include <algorithm>
#include <bit>
#include <iterator>
#include <limits>

#include "tests/unit/backends/cpu/panels.h"
#include "tests/unit/backends/cpu/stream_starts.h"
#include "tests/unit/backends/cpu/sweep_numbers.h"

namespace qeff::cpu {
namespace {

Floats RoundedTo(WeightFormat format, Floats values) {
  for (float& value : values) {
    if (format == WeightFormat::kBf16) value = Bf16ToF32(F32ToBf16(value));
    if (format == WeightFormat::kF16) value = F16ToF32(F32ToF16(value));
  }
  return values;
}

struct LinearCase {
  int64_t rows;
  int64_t depth;
  int64_t columns;
  bool has_bias = false;
  bool has_residual = false;
  bool is_gated = false;
  float limit = 0;  // of gate and up
  float up_offset = 0;
  bool is_activated = false;
  Activation activation = Activation::kSilu;  // if gated or activated
};

std::vector<LinearCase> LinearCases() {
  std::vector<LinearCase> cases;
  for (int64_t rows = 1; rows <= 13; ++rows) cases.push_back({rows, 37, 40});
  for (const int64_t depth : {0, 1, 2, 3, 255, 256, 257, 512, 513, 1030}) {
    cases.push_back({1, depth, 33});
    cases.push_back({25, depth, 65});
  }
  for (const int64_t rows : {15, 16, 17, 31, 32, 33, 49, 64}) {  // around matrix tiles
    cases.push_back({rows, 31, 70});
    cases.push_back({rows, 600, 40, true});  // and the blocks of k beside them
    cases.push_back({rows, 64, 70, true, true, true});
  }
  for (const int64_t columns : {1, 31, 32, 33, 64, 100}) {
    cases.push_back({5, 20, columns, true, false});
    cases.push_back({30, 300, columns, true, true});
    cases.push_back({14, 21, columns, true, false, true});
    cases.push_back({26, 290, columns, false, true, true});
    cases.push_back({13, 40, columns, true, false, true, 1.5f, 1.0f});
    cases.push_back({35, 130, columns, true, true, false, 0, 0, true});
  }
  cases.push_back({64, 0, 33});  // f32 in matrix tiles: more rows, or more than fit the scratch
  cases.push_back({32, 10300, 33});
  cases.push_back({64, 130, 70, true, false, false, 0, 0, true});
  cases.push_back({64, 130, 70, true, false, true, 1.5f, 1.0f});
  // Sums that are finished between the steps of later tiles: more than two pairs of tiles of rows,
  // fewer and more than eight steps, several blocks of k; whole panels and part of one.
  constexpr Activation kGelu = Activation::kGelu;
  cases.push_back({97, 290, 70, true, false, false, 0, 0, true});
  cases.push_back({97, 290, 70, true, false, false, 0, 0, true, kGelu});
  cases.push_back({97, 290, 70, true, true, true, 0, 0, false, kGelu});
  cases.push_back({130, 255, 70, true, true});
  cases.push_back({130, 255, 70, false, false, false, 0, 0, true, kGelu});
  cases.push_back({130, 256, 70, true});
  cases.push_back({130, 256, 70, true, true, false, 0, 0, true, kGelu});
  cases.push_back({130, 800, 70, true, true});
  cases.push_back({130, 800, 70, true, false, false, 0, 0, true, kGelu});
  cases.push_back({130, 800, 70, true, false, true});
  // Weights and rows that are widened by the block: an odd end, a short last tile of rows, a second
  // block of rows, strips of four panels.
  cases.push_back({41, 257, 40, true, true});
  cases.push_back({48, 515, 33, false, false, true});
  cases.push_back({530, 270, 33, true});
  cases.push_back({40, 300, 270, true});
  // Parts of rows and weights that are made ahead: of further panels than have their sums side by
  // side, gate and up among them, and of further rows than fit at once.
  cases.push_back({520, 40, 360, true});
  cases.push_back({300, 140, 330, true, false, true});
  cases.push_back({850, 70, 40});
  return cases;
}

enum class RowOrder { kF32, kF32ForAmx, kBf16, kBf16ForAmx };

RowOrder OrderOf(RowFormat format, const Kernels& kernels) {
  const bool is_amx = &kernels == &KernelsFor(Isa::amx);
  if (format == RowFormat::kF32) return is_amx ? RowOrder::kF32ForAmx : RowOrder::kF32;
  return is_amx ? RowOrder::kBf16ForAmx : RowOrder::kBf16;
}
bool IsF32(RowOrder order) { return order == RowOrder::kF32 || order == RowOrder::kF32ForAmx; }

std::vector<std::byte> PackOrdered(const Floats& x, int64_t rows, int64_t depth, RowOrder order) {
  if (order == RowOrder::kBf16ForAmx) return PackTestRowsForAmx(x, rows, depth);
  if (order == RowOrder::kF32ForAmx && rows > kPanelOrderRows) {
    const auto* bytes = reinterpret_cast<const std::byte*>(x.data());
    return {bytes, bytes + rows * depth * 4};
  }
  return PackTestRows(x, rows, depth, !IsF32(order));
}

/// Runs `args` again with packs_out: the rows that are in args.out now, rounded and packed.
void CheckPackedOut(void (*kernel)(const LinearArgs&), LinearArgs args, const Kernels& kernels) {
  Floats dense;
  for (int64_t row = 0; row < args.rows; ++row) {
    const float* from = args.out + row * args.out_stride;
    dense.insert(dense.end(), from, from + args.columns);
  }
  const auto expected =
      PackOrdered(dense, args.rows, args.columns, OrderOf(RowFormat::kBf16, kernels));
  std::vector<std::byte> packed(expected.size(), std::byte{0xff});
  args.out = reinterpret_cast<float*>(packed.data());
  args.packs_out = true;
  kernel(args);
  if (&kernels == &KernelsFor(Isa::amx)) {
    REQUIRE(packed == expected);
    return;
  }
  const int64_t row_bytes = Bf16RowDepth(args.columns) * 2;
  for (int64_t row = 0; row < args.rows; row += kTileRows) {  // after a tile nothing is written
    const int64_t bytes = RoundUpToEven(args.columns) * std::min(kTileRows, args.rows - row) * 2;
    REQUIRE(std::equal(packed.begin() + row * row_bytes, packed.begin() + row * row_bytes + bytes,
                       expected.begin() + row * row_bytes));
  }
}

void RunLinearCases(void (*kernel)(const LinearArgs&), WeightFormat format, RowOrder order,
                    const Kernels& kernels) {
  uint32_t seed = 1;
  for (const LinearCase& c : LinearCases()) {
    const int64_t kinds = c.is_gated ? 2 : 1;
    Floats x = RandomFloats(c.rows * c.depth, ++seed);
    if (!IsF32(order)) x = RoundedToBf16(x);
    std::vector<Floats> w;
    std::vector<Floats> bias;
    for (int64_t kind = 0; kind < kinds; ++kind) {
      w.push_back(RandomFloats(c.columns * c.depth, ++seed));
      w.back() = RoundedTo(format, std::move(w.back()));
      bias.push_back(RandomFloats(c.columns, ++seed));
    }
    const Floats residual = RandomFloats(c.rows * c.columns, ++seed);
    const auto packed_x = PackOrdered(x, c.rows, c.depth, order);
    const auto packed_w = PackTestWeights(w, c.columns, c.depth, format);
    const Floats packed_bias = PackTestBias(bias, c.columns);
    const int64_t out_stride = c.columns + 3;
    Floats out(static_cast<size_t>(c.rows * out_stride), -77.0f);
    std::vector<float> scratch(static_cast<size_t>(LinearScratchFloats(c.rows)) + 16);
    StreamStarts starts;
    const LinearArgs args = {.x = packed_x.data(),
                             .weights = packed_w.data(),
                             .rows = c.rows,
                             .depth = c.depth,
                             .columns = c.columns,
                             .panel_begin = 0,
                             .panel_end = PanelCount(c.columns) * kinds,
                             .bias = c.has_bias ? packed_bias.data() : nullptr,
                             .residual = c.has_residual ? residual.data() : nullptr,
                             .residual_stride = c.columns,
                             .out = out.data(),
                             .out_stride = out_stride,
                             .epilogue = c.is_gated       ? LinearEpilogue::kGated
                                         : c.is_activated ? LinearEpilogue::kActivated
                                                          : LinearEpilogue::kPlain,
                             .activation = c.activation,
                             .activate = kernels.activate,
                             .limit = c.limit,
                             .up_offset = c.up_offset,
                             .scratch = scratch.data(),
                             .starts = &starts};
    kernel(args);
    CheckStarts(starts, packed_w, PanelCount(c.columns) * kinds);
    const bool is_few = c.rows == 1 || (order == RowOrder::kBf16ForAmx && c.rows <= 32);
    if (is_few && &kernels != &KernelsFor(Isa::scalar)) REQUIRE(starts.count > 0);
    if (!c.has_residual) CheckPackedOut(kernel, args, kernels);
    for (int64_t m = 0; m < c.rows; ++m) {
      for (int64_t n = 0; n < out_stride; ++n) {
        const std::string what = "rows " + std::to_string(c.rows) + " depth " +
                                 std::to_string(c.depth) + " columns " + std::to_string(c.columns) +
                                 " at [" + std::to_string(m) + ", " + std::to_string(n) + "]";
        const double got = out[m * out_stride + n];
        if (n >= c.columns) {
          RequireNear(got, -77, 0, 0, what);
          continue;
        }
        double sums[2] = {0, 0};
        double scale = 1;  // of the rounding errors
        for (int64_t kind = 0; kind < kinds; ++kind) {
          for (int64_t k = 0; k < c.depth; ++k) {
            const double product = double{x[m * c.depth + k]} * w[kind][n * c.depth + k];
            sums[kind] += product;
            scale += std::abs(product);
          }
          if (c.has_bias) sums[kind] += bias[kind][n];
        }
        if (c.limit > 0) {
          sums[0] = std::min<double>(sums[0], c.limit);
          sums[1] = std::clamp<double>(sums[1], -c.limit, c.limit);
        }
        sums[1] += c.up_offset;
        double expected = sums[0];
        if (c.is_gated || c.is_activated) {
          expected = c.activation == Activation::kGelu ? Gelu(sums[0]) : Silu(sums[0]);
        }
        if (c.is_gated) expected *= sums[1];
        if (c.is_gated) scale *= 1 + std::abs(sums[0]) + std::abs(sums[1]);
        if (c.has_residual) expected += residual[m * c.columns + n];
        RequireNear(got, expected, 0, 3e-7 * scale, what);
      }
    }
  }
}

/// A NaN in one of at least 14 rows must not reach another.
void CheckRowsAreApart(void (*kernel)(const LinearArgs&), WeightFormat format, RowOrder order,
                       int64_t rows) {
  const int64_t depth = 34;
  Floats x(static_cast<size_t>(rows * depth), 1.0f);
  x[3 * depth + 5] = std::numeric_limits<float>::quiet_NaN();
  x[13 * depth + 1] = std::numeric_limits<float>::infinity();  // with the value before, no number
  const auto packed_x = PackOrdered(x, rows, depth, order);
  const auto packed_w =
      PackTestWeights({Floats(static_cast<size_t>(depth), 1.0f)}, 1, depth, format);
  Floats out(rows);
  Floats scratch(static_cast<size_t>(LinearScratchFloats(rows)));
  kernel({.x = packed_x.data(),
          .weights = packed_w.data(),
          .rows = rows,
          .depth = depth,
          .columns = 1,
          .panel_begin = 0,
          .panel_end = 1,
          .out = out.data(),
          .out_stride = 1,
          .scratch = scratch.data()});
  for (int64_t m = 0; m < rows; ++m) {
    if (m == 3) {
      REQUIRE(std::isnan(out[m]));
    } else if (m == 13) {
      REQUIRE(std::isinf(out[m]));
    } else {
      REQUIRE(out[m] == 34.0f);
    }
  }
}

/// Weights that are no number or infinite must not reach another column, and the largest float,
/// which bf16 has not, must be multiplied like others.
void CheckColumnsAreApart(void (*kernel)(const LinearArgs&), WeightFormat format, RowOrder order,
                          int64_t rows) {
  const int64_t depth = 34;
  const int64_t columns = 3;
  constexpr float kLargest = std::numeric_limits<float>::max();
  Floats x(static_cast<size_t>(rows * depth), 1.0f);
  if (IsF32(order)) x[5 * depth + 7] = kLargest;
  Floats w(static_cast<size_t>(columns * depth), 0.5f);
  w[3] = std::numeric_limits<float>::quiet_NaN();
  w[depth + 33] = -std::numeric_limits<float>::infinity();
  const auto packed_x = PackOrdered(x, rows, depth, order);
  const auto packed_w = PackTestWeights({w}, columns, depth, format);
  Floats out(rows * columns);
  Floats scratch(static_cast<size_t>(LinearScratchFloats(rows)));
  kernel({.x = packed_x.data(),
          .weights = packed_w.data(),
          .rows = rows,
          .depth = depth,
          .columns = columns,
          .panel_begin = 0,
          .panel_end = 1,
          .out = out.data(),
          .out_stride = columns,
          .scratch = scratch.data()});
  for (int64_t m = 0; m < rows; ++m) {
    REQUIRE(std::isnan(out[m * columns]));
    REQUIRE(out[m * columns + 1] == -std::numeric_limits<float>::infinity());
    const bool is_large = IsF32(order) && m == 5;
    REQUIRE(out[m * columns + 2] == (is_large ? kLargest / 2 : 17.0f));
  }
}

/// Rows have the same bits whatever panels a call gets, also beside a row that is infinite.
void CheckDivision(void (*kernel)(const LinearArgs&), WeightFormat format, RowOrder order,
                   int64_t rows) {
  const int64_t depth = 128;
  const int64_t columns = 230;
  Floats x = RandomFloats(rows * depth, 3);
  x[(rows - 1) * depth + 3] = std::numeric_limits<float>::infinity();
  if (!IsF32(order)) x = RoundedToBf16(x);
  const Floats w = RoundedTo(format, RandomFloats(columns * depth, 7));
  const auto packed_x = PackOrdered(x, rows, depth, order);
  const auto packed_w = PackTestWeights({w}, columns, depth, format);
  Floats scratch(static_cast<size_t>(LinearScratchFloats(rows)));
  const auto run = [&](int64_t shares) {
    Floats out(static_cast<size_t>(rows * columns));
    const int64_t panels = PanelCount(columns);
    for (int64_t share = 0; share < shares; ++share) {
      const Floats before = out;
      kernel({.x = packed_x.data(),
              .weights = packed_w.data(),
              .rows = rows,
              .depth = depth,
              .columns = columns,
              .panel_begin = panels * share / shares,
              .panel_end = panels * (share + 1) / shares,
              .out = out.data(),
              .out_stride = columns,
              .scratch = scratch.data()});
      if (panels * share / shares == panels * (share + 1) / shares) REQUIRE(out == before);
    }
    out.resize(static_cast<size_t>((rows - 1) * columns));
    return out;
  };
  const Floats whole = run(1);
  for (const int64_t shares : {2, 3, 9}) REQUIRE(run(shares) == whole);  // of 8 panels
}

/// Floats that are rounded to bf16 in other ways than most: NaNs, one of which would become an
/// infinity if it were rounded, ties, the largest number.
constexpr float kRoundingCases[] = {std::numeric_limits<float>::quiet_NaN(),
                                    std::bit_cast<float>(0x7f800001u),
                                    1 + 0x1p-8f,
                                    1 + 0x3p-8f,
                                    -1 - 0x1p-8f,
                                    std::numeric_limits<float>::max(),
                                    std::numeric_limits<float>::infinity()};

}  // namespace

void SweepLinear(void (*linear)(const LinearArgs&), WeightFormat format, RowFormat row_format,
                 const Kernels& kernels) {
  const RowOrder order = OrderOf(row_format, kernels);
  RunLinearCases(linear, format, order, kernels);
  for (const int64_t rows : {14, 40, 64}) {
    CheckRowsAreApart(linear, format, order, rows);
    CheckColumnsAreApart(linear, format, order, rows);
    CheckDivision(linear, format, order, rows + 1);
  }
}

void SweepPackRows(void (*pack)(const PackRowsArgs&), RowFormat format, const Kernels& kernels,
                   int64_t least_rows) {
  const RowOrder order = OrderOf(format, kernels);
  for (int64_t rows = least_rows; rows < least_rows + 38; ++rows) {
    for (const int64_t depth : {0, 1, 2, 15, 16, 17, 33}) {
      const int64_t stride = depth + 5;
      Floats x = RandomFloats(rows * stride, 3);
      for (int64_t i = 0; i < std::ssize(kRoundingCases) && depth > 0; ++i) {
        x[i % rows * stride + i * 5 % depth] = kRoundingCases[i];
      }
      Floats dense;
      for (int64_t r = 0; r < rows; ++r) {
        dense.insert(dense.end(), x.begin() + r * stride, x.begin() + r * stride + depth);
      }
      const auto expected = PackOrdered(dense, rows, depth, order);
      std::vector<std::byte> out(expected.size());
      for (int64_t row = 0; row < rows; row += kTileRows) {
        pack({.x = x.data() + row * stride,
              .x_stride = stride,
              .row_begin = row,
              .rows = std::min(kTileRows, rows - row),
              .total_rows = rows,
              .depth = depth,
              .out = out.data()});
      }
      REQUIRE(out == expected);
    }
  }
}

}  // namespace qeff::cpu
