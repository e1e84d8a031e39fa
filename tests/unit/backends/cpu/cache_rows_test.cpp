// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Slots of caches in each format: what is written is read back as recorded (tests/data/cpu).
#include "backends/cpu/runtime/cache_rows.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "lib/support/float16.h"
#include "tests/unit/backends/cpu/recorded_floats.h"

namespace qeff::cpu {
namespace {

/// What a cache in `format` holds of a recorded row.
std::vector<float> ExpectedRow(const Json& row, CacheFormat format) {
  if (format == CacheFormat::kF32) return ReadFloatBits(row["x"]);
  if (format == CacheFormat::kMxint8) return ReadFloatBits(row["mxint8"]["values"]);
  std::vector<float> expected;
  for (const Json& half : row[std::string(CacheFormatName(format))]) {
    const auto bits = half.is_null() ? uint16_t{0x7fff} : half.get<uint16_t>();
    expected.push_back(format == CacheFormat::kBf16 ? Bf16ToF32(bits) : F16ToF32(bits));
  }
  return expected;
}

bool IsSame(float a, float b) { return a == b || (std::isnan(a) && std::isnan(b)); }

}  // namespace

TEST_CASE("slots hold what is recorded for their format, and leave each other alone") {
  const Result<Json> file = ReadJsonFile("tests/data/cpu/cache_rows.json");
  REQUIRE(file.ok());
  const CacheFormat format =
      GENERATE(CacheFormat::kF32, CacheFormat::kBf16, CacheFormat::kF16, CacheFormat::kMxint8);
  const bool as_panels = GENERATE(false, true);
  for (const Json& row : *file) {
    const std::vector<float> x = ReadFloatBits(row["x"]);
    const std::vector<float> expected = ExpectedRow(row, format);
    const CacheLayout layout = {.format = format,
                                .as_panels = as_panels,
                                .slots = 37,
                                .channels = static_cast<int64_t>(x.size())};
    std::vector<std::byte> head(static_cast<size_t>(layout.head_bytes()));
    std::vector<std::byte> scratch(static_cast<size_t>(layout.scratch_bytes()));
    const std::vector<float> ones(x.size(), 1.0f);
    for (int64_t slot = 0; slot < layout.slots; ++slot) {
      WriteCacheSlot(KernelsFor(Isa::scalar), layout, ones.data(), head.data(), slot,
                     scratch.data());
    }
    for (const int64_t slot : {0, 31, 32, 36}) {
      WriteCacheSlot(KernelsFor(Isa::scalar), layout, x.data(), head.data(), slot, scratch.data());
    }
    std::vector<float> got(x.size());
    for (int64_t slot = 0; slot < layout.slots; ++slot) {
      ReadCacheSlot(layout, head.data(), slot, got.data());
      const bool is_row = slot == 0 || slot == 31 || slot == 32 || slot == 36;
      for (size_t e = 0; e < got.size(); ++e) {
        INFO(CacheFormatName(format) << ", slot " << slot << ", channel " << e);
        if (!IsSame(got[e], is_row ? expected[e] : 1.0f)) FAIL("got " << got[e]);
      }
    }
  }
}

TEST_CASE("a slot takes the bytes of its format") {
  CHECK(CacheSlotBytes(CacheFormat::kF32, 64) == 256);
  CHECK(CacheSlotBytes(CacheFormat::kBf16, 64) == 128);
  CHECK(CacheSlotBytes(CacheFormat::kF16, 20) == 40);
  CHECK(CacheSlotBytes(CacheFormat::kMxint8, 64) == 66);
  CHECK(CacheSlotBytes(CacheFormat::kMxint8, 33) == 35);
}

}  // namespace qeff::cpu
