// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/backends/cpu/quant_sweep.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "lib/support/float16.h"
#include "tests/unit/backends/cpu/panels.h"
#include "tests/unit/backends/cpu/stream_starts.h"

namespace qeff::cpu {
namespace {

struct Format {
  int64_t group;
  int zero_point;  // of the numbers that kernels multiply
  int64_t scale_bytes;
  int64_t bytes_of_8_k;
};

Format FormatOf(WeightFormat format) {
  if (format == WeightFormat::kInt8) return {128, 128, 2, 256};
  if (format == WeightFormat::kInt4) return {32, 8, 2, 128};
  return {32, 64, 1, 192};
}

int64_t RoundUp(int64_t value, int64_t to) { return (value + to - 1) / to * to; }

template <typename T>
void Put(std::vector<std::byte>& out, int64_t offset, T value) {
  REQUIRE(offset + static_cast<int64_t>(sizeof(T)) <= static_cast<int64_t>(out.size()));
  std::memcpy(out.data() + offset, &value, sizeof(value));
}

/// A weight [columns, depth] as numbers and scales.
struct Weights {
  std::vector<double> values;  // what they stand for
  std::vector<uint8_t> stored;
  std::vector<uint16_t> scales;  // [columns, groups]
};

struct Case {
  int64_t rows;
  int64_t depth;
  int64_t columns;
  bool is_gated = false;
  bool is_tiny = false;     // scales of 2^-127 and a little above
  bool is_extreme = false;  // all numbers of a row, or a column, are the largest, or the smallest
};

Weights RandomWeights(WeightFormat format, const Case& c, uint32_t seed) {
  const int64_t columns = c.columns;
  const int64_t depth = c.depth;
  std::mt19937 engine(seed);
  const Format f = FormatOf(format);
  const int64_t groups = (depth + f.group - 1) / f.group;
  Weights w;
  for (int64_t i = 0; i < columns * groups; ++i) {
    const float scale = (static_cast<float>(engine() % 1000) - 300) / 1000;
    w.scales.push_back(f.scale_bytes == 2 ? F32ToBf16(scale)
                                          : static_cast<uint16_t>(c.is_tiny ? i % 4 : 118 + i % 9));
  }
  for (int64_t i = 0; i < columns * depth; ++i) {
    const int64_t column = i / depth;
    const uint16_t bits = w.scales[column * groups + i % depth / f.group];
    const double scale = f.scale_bytes == 2 ? Bf16ToF32(bits) : std::exp2(bits - 127.0);
    uint8_t stored = 0;
    double number = 0;
    if (format == WeightFormat::kMxfp6) {
      stored = static_cast<uint8_t>(c.is_extreme ? column % 2 * 32 + 31 : engine() % 64);
      const int exponent = stored / 8 % 4;
      const double mantissa = stored % 8 / 8.0;
      number = exponent == 0 ? mantissa : (1 + mantissa) * std::exp2(exponent - 1);
      if (stored >= 32) number = -number;
    } else {
      const int lowest = format == WeightFormat::kInt8 ? 1 : 0;  // -127, -8
      const int highest = format == WeightFormat::kInt8 ? 255 : 15;
      stored = static_cast<uint8_t>(c.is_extreme ? (column % 2 == 0 ? highest : lowest)
                                                 : lowest + engine() % (highest - lowest + 1));
      number = stored - f.zero_point;
    }
    w.stored.push_back(stored);
    w.values.push_back(number * scale);
  }
  return w;
}

/// One or two (gate, up) weights as panels.
std::vector<std::byte> PackWeights(WeightFormat format, const std::vector<Weights>& weights,
                                   int64_t columns, int64_t depth) {
  const Format f = FormatOf(format);
  const auto kinds = static_cast<int64_t>(weights.size());
  const int64_t groups = (depth + f.group - 1) / f.group;
  const int64_t scales_bytes = RoundUp(groups * 32 * f.scale_bytes, 64);
  const int64_t panel_bytes = scales_bytes + RoundUp(depth, 32) / 8 * f.bytes_of_8_k;
  std::vector<std::byte> out(static_cast<size_t>((columns + 31) / 32 * kinds * panel_bytes));
  for (int64_t kind = 0; kind < kinds; ++kind) {
    for (int64_t n = 0; n < columns; ++n) {
      const int64_t panel = (n / 32 * kinds + kind) * panel_bytes;
      for (int64_t group = 0; group < groups; ++group) {
        const uint16_t scale = weights[kind].scales[n * groups + group];
        const int64_t place = panel + (group * 32 + n % 32) * f.scale_bytes;
        f.scale_bytes == 2 ? Put(out, place, scale) : Put(out, place, static_cast<uint8_t>(scale));
      }
      for (int64_t k = 0; k < depth; ++k) {
        const uint8_t stored = weights[kind].stored[n * depth + k];
        const int64_t eight = panel + scales_bytes + k / 8 * f.bytes_of_8_k;
        const int64_t quad = k % 8 / 4;
        const int64_t half = n % 32 / 16;
        const int64_t byte = n % 16 * 4 + k % 4;
        const auto add = [&](int64_t place, int bits) {
          out[place] |= static_cast<std::byte>(bits);
        };
        if (format == WeightFormat::kInt8) {
          add(eight + quad * 128 + half * 64 + byte, stored);
        } else {
          add(eight + quad * 64 + byte, stored % 16 << (half * 4));
        }
        if (format == WeightFormat::kMxfp6) {
          add(eight + 128 + byte, stored / 16 << (quad * 4 + half * 2));
        }
      }
    }
  }
  return out;
}

struct PackedTestRows {
  std::vector<double> values;
  std::vector<std::byte> packed;
};

PackedTestRows RandomBf16Rows(int64_t rows, int64_t depth, bool is_amx, uint32_t seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  std::vector<float> x(static_cast<size_t>(rows * depth));
  for (float& value : x) value = Bf16ToF32(F32ToBf16(normal(engine)));
  return {{x.begin(), x.end()},
          is_amx ? PackTestRowsForAmx(x, rows, depth) : PackTestRows(x, rows, depth, true)};
}

PackedTestRows RandomRows(WeightFormat format, const Case& c, int64_t tile_height, uint32_t seed) {
  const int64_t rows = c.rows;
  const int64_t depth = c.depth;
  const float scale_factor = c.is_tiny ? 0x1p120f : 1.0f;
  std::mt19937 engine(seed);
  const Format f = FormatOf(format);
  const int64_t blocks = (depth + 127) / 128;
  const int64_t groups = 128 / f.group;  // of a block
  const int64_t row_bytes = blocks * (128 + 4 + 4 * groups);
  PackedTestRows x;
  x.values.resize(static_cast<size_t>(rows * depth));
  x.packed.resize(static_cast<size_t>(rows * row_bytes));
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t tile = row / tile_height * tile_height;
    const int64_t height = std::min(tile_height, rows - tile);
    for (int64_t block = 0; block < blocks; ++block) {
      const int64_t start = tile * row_bytes + block * height * (row_bytes / blocks);
      const float scale = static_cast<float>(engine() % 100) / 3000 * scale_factor;
      Put(x.packed, start + height * 128 + (row - tile) * 4, scale);
      for (int64_t group = 0; group < groups; ++group) {
        int32_t sum = 0;
        for (int64_t k = 0; k < f.group; ++k) {
          const int64_t at = block * 128 + group * f.group + k;
          if (at >= depth) continue;
          const int number =
              c.is_extreme ? (row % 2 == 0 ? 127 : -127) : static_cast<int>(engine() % 255) - 127;
          Put(x.packed, start + (row - tile) * 128 + group * f.group + k,
              static_cast<int8_t>(number));
          x.values[row * depth + at] = double{scale} * number;
          sum += number;
        }
        Put(x.packed, start + height * 132 + ((row - tile) * groups + group) * 4,
            -f.zero_point * sum);
      }
    }
  }
  return x;
}

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (int64_t rows = 1; rows <= 13; ++rows) cases.push_back({rows, 165, 40});
  for (const int64_t depth : {0, 1, 31, 32, 33, 127, 128, 129, 512, 513, 640, 1100}) {
    cases.push_back({1, depth, 33});
    cases.push_back({16, depth, 100});
    cases.push_back({25, depth, 70});
  }
  for (const int64_t rows : {17, 24, 25, 31, 32, 33, 48, 64}) cases.push_back({rows, 200, 33});
  for (const int64_t rows : {1, 8, 30, 77}) cases.push_back({rows, 300, 150, true});
  cases.push_back({80, 3300, 70});  // several blocks of k where there are matrix tiles
  cases.push_back({3, 64, 32, false, true});
  for (const int64_t rows : {1, 2, 6, 30}) cases.push_back({rows, 260, 40, false, false, true});
  return cases;
}

const QuantLayout& LayoutOf(WeightFormat format) {
  return format == WeightFormat::kInt8   ? kInt8Layout
         : format == WeightFormat::kInt4 ? kInt4Layout
                                         : kMxfp6Layout;
}

bool IsAmx(const Kernels& kernels) { return &kernels == &KernelsFor(Isa::amx); }

/// Largest error of a sum, relative to that of its magnitudes. bfmmla rounds all sums to odd, which
/// errs by a whole unit of the last place, not half of one.
double ErrorLimit(const Kernels& kernels, bool has_bf16_rows) {
  const bool rounds_to_odd = has_bf16_rows && &kernels == &KernelsFor(Isa::neon_bf16);
  return rounds_to_odd ? 8e-7 : 4e-7;
}

/// With bf16 rows, weights are rounded to bf16.
void CheckCase(void (*linear)(const LinearArgs&), WeightFormat format, const Kernels& kernels,
               const Case& c, bool has_bf16_rows, uint32_t seed) {
  const int64_t kinds = c.is_gated ? 2 : 1;
  std::vector<Weights> weights;
  for (int64_t kind = 0; kind < kinds; ++kind) {
    weights.push_back(RandomWeights(format, c, seed + 10 + kind));
  }
  const auto packed = PackWeights(format, weights, c.columns, c.depth);
  const PackedTestRows x = has_bf16_rows ? RandomBf16Rows(c.rows, c.depth, IsAmx(kernels), seed)
                                         : RandomRows(format, c, kTileRows, seed);
  for (Weights& w : weights) {
    if (!has_bf16_rows) break;
    for (double& value : w.values) value = Bf16ToF32(F32ToBf16(static_cast<float>(value)));
  }
  std::vector<float> scratch(static_cast<size_t>(LinearScratchFloats(c.rows)) + 16);
  const int64_t panels = (c.columns + 31) / 32 * kinds;
  const auto run = [&](int64_t panels_of_call) {
    std::vector<float> out(static_cast<size_t>(c.rows * c.columns), -77.0f);
    StreamStarts starts;
    for (int64_t panel = 0; panel < panels; panel += panels_of_call) {
      linear({.x = x.packed.data(),
              .weights = packed.data(),
              .weight_format = format,
              .rows = c.rows,
              .depth = c.depth,
              .columns = c.columns,
              .panel_begin = panel,
              .panel_end = panel + panels_of_call,
              .out = out.data(),
              .out_stride = c.columns,
              .epilogue = c.is_gated ? LinearEpilogue::kGated : LinearEpilogue::kPlain,
              .activation = Activation::kRelu,
              .activate = kernels.activate,
              .scratch = scratch.data(),
              .starts = panels_of_call == panels ? &starts : nullptr});
    }
    CheckStarts(starts, packed, panels);
    const bool is_streamed = c.rows == 1 && !has_bf16_rows && &kernels != &KernelsFor(Isa::scalar);
    if (panels_of_call == panels && is_streamed) REQUIRE(starts.count > 0);
    return out;
  };
  const std::vector<float> out = run(panels);
  REQUIRE(run(kinds) == out);  // as if by as many threads
  const double limit = ErrorLimit(kernels, has_bf16_rows);
  for (int64_t m = 0; m < c.rows; ++m) {
    for (int64_t n = 0; n < c.columns; ++n) {
      double sums[2] = {0, 0};
      double size = 0;
      for (int64_t kind = 0; kind < kinds; ++kind) {
        for (int64_t k = 0; k < c.depth; ++k) {
          const double product = x.values[m * c.depth + k] * weights[kind].values[n * c.depth + k];
          sums[kind] += product;
          size += std::abs(product);
        }
      }
      const double expected = c.is_gated ? std::max(sums[0], 0.0) * sums[1] : sums[0];
      if (c.is_gated) size *= 1 + std::abs(sums[0]) + std::abs(sums[1]);
      const double got = out[m * c.columns + n];
      if (!(std::abs(got - expected) <= limit * size)) {
        FAIL("rows " << c.rows << " depth " << c.depth << " at [" << m << ", " << n
                     << "]: expected " << expected << ", got " << got);
      }
    }
  }
}

/// What one block of one row becomes.
void CheckPackedBlock(const std::vector<float>& block, const Format& f, const std::byte* numbers,
                      const std::byte* scale_at, const std::byte* starts_at) {
  float largest = 0;
  bool is_nan = false;
  for (const float value : block) {
    is_nan |= std::isnan(value);
    largest = std::max(largest, std::abs(value));
  }
  float scale;
  std::memcpy(&scale, scale_at, sizeof(scale));
  if (is_nan) {
    REQUIRE(std::isnan(scale));
    return;
  }
  REQUIRE(scale == largest / 127);
  if (std::isinf(largest)) return;
  for (int64_t group = 0; group < 128 / f.group; ++group) {
    int32_t sum = 0;
    for (int64_t k = group * f.group; k < (group + 1) * f.group; ++k) {
      const float scaled = largest < 1e-36f ? 0 : block[k] * (127 / largest);
      const auto number = static_cast<int32_t>(std::nearbyint(scaled));
      REQUIRE(static_cast<int>(static_cast<int8_t>(numbers[k])) == number);
      sum += number;
    }
    int32_t start;
    std::memcpy(&start, starts_at + group * 4, sizeof(start));
    REQUIRE(start == -f.zero_point * sum);
  }
}

}  // namespace

void SweepQuantLinear(void (*linear)(const LinearArgs&), WeightFormat format,
                      const Kernels& kernels) {
  uint32_t seed = 1;
  for (const Case& c : Cases()) {
    if (c.is_tiny && format != WeightFormat::kMxfp6) continue;
    const bool has_bf16_rows = IsAmx(kernels) && HasBf16QuantRows(LayoutOf(format), c.rows);
    CheckCase(linear, format, kernels, c, has_bf16_rows, seed += 20);
  }
}

void SweepQuantLinearOfBf16Rows(const Kernels& kernels) {
  uint32_t seed = 7;
  for (const WeightFormat format :
       {WeightFormat::kInt8, WeightFormat::kInt4, WeightFormat::kMxfp6}) {
    for (const Case& c : Cases()) {
      if (!c.is_tiny) CheckCase(kernels.linear_bf16_dot, format, kernels, c, true, seed += 20);
    }
  }
}

void SweepQuantPack(const Kernels& kernels) {
  std::mt19937 engine(3);
  std::normal_distribution<float> normal;
  for (const WeightFormat format : {WeightFormat::kInt8, WeightFormat::kInt4}) {
    const Format f = FormatOf(format);
    const QuantLayout& layout = LayoutOf(format);
    for (int64_t rows = 1; rows <= kTileRows; ++rows) {
      if (IsAmx(kernels) && HasBf16QuantRows(layout, rows)) continue;
      for (const int64_t depth : {0, 1, 31, 128, 129, 300}) {
        const int64_t stride = depth + 5;
        const int64_t blocks = (depth + 127) / 128;
        const int64_t block_bytes = 132 + 4 * (128 / f.group);
        std::vector<float> x(static_cast<size_t>(rows * stride));
        for (float& value : x) value = normal(engine) * static_cast<float>(1 + engine() % 50);
        x[0] = rows % 3 == 0 ? NAN : rows % 3 == 1 ? INFINITY : 1e-38f;
        if (rows > 1) std::fill(x.begin() + stride, x.begin() + stride + depth, 0.0f);
        if (rows > 2 && depth > 1) x[2 * stride] = 0.5f * (x[2 * stride + 1] = 254);  // ties
        std::vector<std::byte> out(static_cast<size_t>(rows * blocks * block_bytes));
        kernels.pack_rows_quant({.x = x.data(),
                                 .x_stride = stride,
                                 .rows = rows,
                                 .total_rows = rows,
                                 .depth = depth,
                                 .out = out.data(),
                                 .layout = layout});
        for (int64_t row = 0; row < rows; ++row) {
          for (int64_t block = 0; block < blocks; ++block) {
            std::vector<float> values(128, 0.0f);
            for (int64_t k = 0; k < std::min<int64_t>(128, depth - block * 128); ++k) {
              values[k] = x[row * stride + block * 128 + k];
            }
            const std::byte* at = out.data() + block * rows * block_bytes;
            CheckPackedBlock(values, f, at + row * 128, at + rows * 128 + row * 4,
                             at + rows * 132 + row * (128 / f.group) * 4);
          }
        }
      }
    }
  }
}

}  // namespace qeff::cpu
