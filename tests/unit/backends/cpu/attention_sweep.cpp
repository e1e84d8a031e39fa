// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/backends/cpu/attention_sweep.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "backends/cpu/runtime/cache_rows.h"
#include "lib/support/float16.h"
#include "tests/unit/backends/cpu/recorded_floats.h"

namespace qeff::cpu {
namespace {

using Floats = std::vector<float>;

constexpr CacheFormat kFormats[] = {CacheFormat::kF32, CacheFormat::kBf16, CacheFormat::kF16,
                                    CacheFormat::kMxint8};

struct AttentionCase {
  int64_t batch;
  int64_t tokens;
  int64_t heads;
  int64_t kv_heads;
  int64_t key_size;
  int64_t value_size;
  int64_t capacity;
  int64_t first_position;
  int64_t window = 0;
  float softcap = 0;
  bool has_cache_rows = false;
  int64_t split_slots = 0;
  int64_t chunk = 0;
  int64_t padding = 1;  ///< tokens at the end, if there are more than that and one
};

float RoundedToBf16(float value) { return Bf16ToF32(F32ToBf16(value)); }

/// Keys or values in a format, and what their bytes stand for. The layouts of kernels.h, written
/// down once more.
struct TestCache {
  std::vector<std::byte> bytes;
  Floats values;  ///< [heads, slots, channels]
};

template <typename T>
void Put(std::vector<std::byte>& bytes, int64_t offset, T value) {
  REQUIRE(offset + static_cast<int64_t>(sizeof(T)) <= static_cast<int64_t>(bytes.size()));
  std::memcpy(bytes.data() + offset, &value, sizeof(value));
}

/// Random numbers. Keys are panels of 32 slots, values one panel of all slots with other strides.
TestCache MakeCache(CacheFormat format, bool is_keys, int64_t heads, int64_t slots,
                    int64_t channels, bool rounds, uint32_t seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  const bool has_scales = format == CacheFormat::kMxint8;
  const int64_t width = format == CacheFormat::kF32 ? 4 : has_scales ? 1 : 2;
  const int64_t blocks = has_scales ? (channels + 31) / 32 : 0;
  const int64_t panel_slots = is_keys ? 32 : slots;
  const int64_t panel_bytes = panel_slots * (channels * width + blocks);
  TestCache cache;
  cache.bytes.resize(static_cast<size_t>(heads * slots / panel_slots * panel_bytes));
  for (int64_t row = 0; row < heads * slots; ++row) {
    const int64_t panel = row / panel_slots * panel_bytes;
    const int64_t slot = row % panel_slots;
    int code = 0;
    for (int64_t e = 0; e < channels; ++e) {
      const int64_t place = panel + width * (is_keys ? e * 32 + slot : slot * channels + e);
      if (has_scales) {
        if (e % 32 == 0) {
          code = 123 + static_cast<int>(engine() % 6);
          Put(cache.bytes, panel + panel_slots * channels + e / 32 * panel_slots + slot,
              static_cast<uint8_t>(code));
        }
        const int number = static_cast<int>(engine() % 255) - 127;
        Put(cache.bytes, place, static_cast<int8_t>(number));
        cache.values.push_back(std::ldexp(static_cast<float>(number) / 64, code - 127));
        continue;
      }
      float value = normal(engine);
      if (rounds) value = RoundedToBf16(value);
      if (format == CacheFormat::kF32) {
        Put(cache.bytes, place, value);
      } else {
        const bool is_f16 = format == CacheFormat::kF16;
        const uint16_t bits = is_f16 ? F32ToF16(value) : F32ToBf16(value);
        Put(cache.bytes, place, bits);
        value = is_f16 ? F16ToF32(bits) : Bf16ToF32(bits);
      }
      cache.values.push_back(value);
    }
  }
  cache.bytes.resize(cache.bytes.size() + static_cast<size_t>(32 * width), std::byte{0xff});
  return cache;
}

/// Runs a kernel over all units, or over runs of slots, whose partial sums it adds.
Floats RunKernel(void (*kernel)(const AttentionArgs&), const AttentionCase& c, AttentionArgs args,
                 bool rounds) {
  Floats out(static_cast<size_t>(c.batch * c.tokens * c.heads * c.value_size));
  const auto scratch_floats = rounds ? Bf16AttentionScratchFloats : AttentionScratchFloats;
  Floats scratch(static_cast<size_t>(scratch_floats(c.key_size, c.value_size)));
  args.scratch = scratch.data();
  const int64_t heads = c.batch * c.kv_heads;
  if (c.split_slots == 0) {
    args.out = out.data();
    args.unit_end = heads * AttentionTiles(c.tokens, c.heads, c.kv_heads,
                                           rounds ? kBf16AttentionRows : kF32AttentionRows);
    kernel(args);
    return out;
  }
  const int64_t runs = AttentionSplits(c.capacity, c.split_slots);
  const int64_t row_floats = c.value_size + 2;
  Floats partial(static_cast<size_t>(heads * runs * kTileRows * row_floats));
  args.batch = c.batch;
  args.split_slots = c.split_slots;
  args.partial = partial.data();
  args.unit_end = heads * runs;
  kernel(args);
  const int64_t group = c.heads / c.kv_heads;
  for (int64_t row = 0; row < c.batch * c.tokens; ++row) {
    for (int64_t h = 0; h < c.heads; ++h) {
      const int64_t tile = row / c.tokens * c.kv_heads + h / group;
      const int64_t in_tile = row % c.tokens * group + h % group;
      double total = 0;
      std::vector<double> sums(static_cast<size_t>(c.value_size));
      for (int64_t run = 0; run < runs; ++run) {
        const float* part =
            partial.data() + ((tile * runs + run) * kTileRows + in_tile) * row_floats;
        if (part[1] == 0) continue;
        total += std::exp(double{part[0]}) * part[1];
        for (int64_t e = 0; e < c.value_size; ++e)
          sums[e] += std::exp(double{part[0]}) * part[2 + e];
      }
      for (int64_t e = 0; e < c.value_size && total != 0; ++e)
        out[(row * c.heads + h) * c.value_size + e] = static_cast<float>(sums[e] / total);
    }
  }
  return out;
}

void RunAttentionCase(void (*kernel)(const AttentionArgs&), AttentionRounding rounding,
                      CacheFormat format, const AttentionCase& c) {
  const bool rounds = rounding == AttentionRounding::kBf16;
  const float scale = rounds ? 0.25f : 0.3f;
  const int64_t stored = PanelCount(c.capacity) * kPanelColumns;
  const int64_t cache_heads = (c.batch + 1) * c.kv_heads;
  std::mt19937 engine(12);
  std::normal_distribution<float> normal;
  Floats q(static_cast<size_t>(c.batch * c.tokens * c.heads * c.key_size));
  for (float& x : q) x = rounds ? RoundedToBf16(normal(engine)) : normal(engine);
  const TestCache k = MakeCache(format, true, cache_heads, stored, c.key_size, rounds, 13);
  const TestCache v = MakeCache(format, false, cache_heads, c.capacity, c.value_size, rounds, 14);
  std::vector<int64_t> positions;
  std::vector<int64_t> cache_rows;
  for (int64_t b = 0; b < c.batch; ++b) {
    cache_rows.push_back(c.has_cache_rows ? c.batch - b : b);
    for (int64_t t = 0; t < c.tokens; ++t) {
      const bool is_padding = c.tokens > c.padding + 1 && t >= c.tokens - c.padding;
      positions.push_back(is_padding ? -1 : c.first_position + t);
    }
  }
  const Floats out = RunKernel(kernel, c,
                               {.q = q.data(),
                                .q_stride = c.heads * c.key_size,
                                .positions = positions.data(),
                                .format = format,
                                .keys = k.bytes.data(),
                                .values = v.bytes.data(),
                                .cache_rows = c.has_cache_rows ? cache_rows.data() : nullptr,
                                .out_stride = c.heads * c.value_size,
                                .tokens = c.tokens,
                                .heads = c.heads,
                                .kv_heads = c.kv_heads,
                                .key_size = c.key_size,
                                .value_size = c.value_size,
                                .key_capacity = stored,
                                .value_capacity = c.capacity,
                                .slots = c.capacity,
                                .scale = scale,
                                .softcap = c.softcap,
                                .window = c.window,
                                .chunk = c.chunk},
                               rounds);
  for (int64_t row = 0; row < c.batch * c.tokens; ++row) {
    const int64_t p = positions[row];
    for (int64_t h = 0; h < c.heads; ++h) {
      const int64_t kv = cache_rows[row / c.tokens] * c.kv_heads + h / (c.heads / c.kv_heads);
      std::vector<double> scores;
      int64_t first = c.window > 0 ? std::max<int64_t>(0, p - c.window + 1) : 0;
      if (c.chunk > 0) first = std::max(first, p - p % c.chunk);
      double total = 0;
      for (int64_t j = first; j <= p; ++j) {
        double dot = 0;
        for (int64_t e = 0; e < c.key_size; ++e) {
          dot += double{q[(row * c.heads + h) * c.key_size + e]} *
                 k.values[(kv * stored + j) * c.key_size + e];
        }
        dot *= double{scale};
        if (c.softcap > 0) dot = c.softcap * std::tanh(dot / c.softcap);
        scores.push_back(std::exp(dot));
        total += scores.back();
      }
      for (int64_t e = 0; e < c.value_size; ++e) {
        double expected = 0;
        double magnitude = 0;
        for (int64_t j = first; j <= p; ++j) {
          const double term =
              scores[j - first] / total * v.values[(kv * c.capacity + j) * c.value_size + e];
          expected += term;
          magnitude += std::abs(term);
        }
        const double limit = rounds ? magnitude / 256 + 1e-5 : 1e-5 * (1 + std::abs(expected));
        const double got = out[(row * c.heads + h) * c.value_size + e];
        if (!(std::abs(got - expected) <= limit)) {  // half a unit of 8 bits where rounded
          FAIL(CacheFormatName(format)
               << " at row " << row << ", position " << p << ", slots " << c.capacity
               << ": expected " << expected << ", got " << got << ", limit " << limit);
        }
      }
    }
  }
}

}  // namespace

void SweepAttention(void (*kernel)(const AttentionArgs&), AttentionRounding rounding) {
  std::vector<AttentionCase> cases = {{1, 1, 1, 1, 1, 1, 1, 0},
                                      {1, 1, 4, 2, 16, 16, 40, 39},
                                      {2, 5, 8, 4, 16, 8, 33, 0},
                                      {1, 13, 3, 3, 20, 33, 300, 270},
                                      {2, 30, 9, 3, 64, 64, 600, 280},
                                      {1, 7, 6, 2, 32, 40, 64, 10, 4},
                                      {2, 40, 4, 1, 8, 8, 700, 500, 100},
                                      {1, 6, 4, 4, 16, 16, 50, 3, 0, 2.0f},
                                      {3, 4, 4, 2, 16, 16, 50, 7, 0, 0, true},
                                      {1, 300, 2, 2, 8, 16, 300, 0},
                                      {1, 44, 3, 1, 40, 70, 300, 250},
                                      {1, 49, 1, 1, 64, 64, 90, 20, 17},
                                      {1, 1, 16, 1, 24, 24, 1030, 1029},
                                      // Tiles of a unit that begin in other blocks, or see nothing.
                                      {1, 40, 1, 1, 16, 16, 700, 580, 0, 0, false, 0, 300},
                                      {1, 48, 1, 1, 16, 40, 700, 500, 30, 0, false, 0, 0, 15}};
  // Few rows, more than a block of slots.
  cases.push_back({2, 3, 4, 2, 40, 36, 600, 500, 0, 0, true});
  cases.push_back({1, 1, 8, 2, 64, 64, 900, 700, 400});
  for (int64_t rows = 1; rows <= 2 * kTileRows; ++rows) {  // of a tile, and of one more
    cases.push_back({1, rows, 1, 1, 33, 34, 90, 50});
  }
  if (rounding == AttentionRounding::kNone) {
    cases.push_back({2, 3, 4, 2, 40, 36, 1100, 800, 0, 0, true, 256});
    cases.push_back({1, 1, 3, 3, 64, 64, 2000, 1700, 900, 0, false, 512});
    cases.push_back({1, 1, 4, 2, 96, 130, 800, 777, 0, 2.0f, false, 256});
    for (int64_t rows = 1; rows <= kTileRows; ++rows) {  // groups of rows, blocks that end early
      cases.push_back({1, 1, rows, 1, 33, 70, 1100, 999 + rows, 0, 0, false, 256});
    }
  }
  for (const CacheFormat format : kFormats) {
    for (const AttentionCase& c : cases) RunAttentionCase(kernel, rounding, format, c);
  }
}

void SweepCacheRow(void (*kernel)(const CacheRowArgs&)) {
  const Result<Json> file = ReadJsonFile("tests/data/cpu/cache_rows.json");
  REQUIRE(file.ok());
  for (const Json& row : *file) {
    const Floats x = ReadFloatBits(row["x"]);
    const auto channels = static_cast<int64_t>(x.size());
    for (const CacheFormat format : {CacheFormat::kBf16, CacheFormat::kF16, CacheFormat::kMxint8}) {
      INFO(CacheFormatName(format) << " of " << row["x"].dump());
      std::vector<std::byte> stored(static_cast<size_t>(CacheSlotBytes(format, channels)));
      auto* scales = reinterpret_cast<uint8_t*>(stored.data()) + channels;
      kernel({format, x.data(), channels, stored.data(), scales});
      const Json& expected = row[std::string(CacheFormatName(format))];
      for (int64_t e = 0; e < channels; ++e) {
        const auto at = static_cast<size_t>(e);
        if (format == CacheFormat::kMxint8) {
          REQUIRE(int{reinterpret_cast<const int8_t*>(stored.data())[e]} ==
                  expected["elements"][at].get<int>());
          continue;
        }
        uint16_t bits;
        std::memcpy(&bits, stored.data() + e * 2, 2);
        const bool is_f16 = format == CacheFormat::kF16;
        if (expected[at].is_null()) {
          REQUIRE(std::isnan(is_f16 ? F16ToF32(bits) : Bf16ToF32(bits)));
        } else {
          REQUIRE(bits == expected[at].get<uint16_t>());
        }
      }
      for (int64_t b = 0; format == CacheFormat::kMxint8 && b < MxBlocks(channels); ++b)
        REQUIRE(scales[b] == expected["scales"][static_cast<size_t>(b)].get<uint8_t>());
    }
  }
}

}  // namespace qeff::cpu
