// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/plan/quantise.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "backends/cpu/runtime/packed_formats.h"
#include "lib/support/float16.h"
#include "lib/support/status.h"

namespace qeff::cpu {
namespace {

constexpr uint16_t kBf16Nan = 0x7fc0;
constexpr uint16_t kE8m0Nan = 255;

constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding and taking away rounds to an integer

uint32_t MagnitudeBits(float value) { return std::bit_cast<uint32_t>(value) & 0x7fffffffu; }

/// The first weight of largest magnitude; NaN if one is not finite.
float Largest(std::span<const float> weights) {
  uint32_t largest = 0;
  for (const float weight : weights) largest = std::max(largest, MagnitudeBits(weight));
  if (largest >= 0x7f800000u) return std::numeric_limits<float>::quiet_NaN();
  return *std::find_if(weights.begin(), weights.end(),
                       [&](float weight) { return MagnitudeBits(weight) == largest; });
}

/// Numbers within [low, high], stored above `zero_point`. Requires a scale that is not 0.
void StoreIntegers(std::span<const float> weights, float scale, int32_t zero_point, float low,
                   float high, std::span<uint8_t> stored) {
  for (size_t i = 0; i < weights.size(); ++i) {
    const float number = std::clamp(weights[i] / scale, low, high) + kRound - kRound;
    stored[i] = static_cast<uint8_t>(static_cast<int>(number) + zero_point);
  }
}

/// The E2M3 code of `value`.
uint8_t E2m3(float value) {
  const uint32_t sign = std::bit_cast<uint32_t>(value) >> 31;
  const float magnitude = std::min(std::abs(value), 7.5f);
  const float per_step = magnitude < 2 ? 8.0f : magnitude < 4 ? 4.0f : 2.0f;
  const uint32_t first = magnitude < 2 ? 0 : magnitude < 4 ? 8 : 16;
  const auto steps = static_cast<uint32_t>(magnitude * per_step + kRound - kRound);
  return static_cast<uint8_t>(sign << 5 | (first + steps));  // a step too many is the next binade
}

uint16_t QuantiseMxfp6(std::span<const float> weights, std::span<uint8_t> stored) {
  const float largest = Largest(weights);
  if (largest != largest) {
    std::fill(stored.begin(), stored.end(), uint8_t{0});
    return kE8m0Nan;
  }
  const int exponent = largest == 0 ? -127 : std::clamp(std::ilogb(largest) - 2, -127, 127);
  const float inverse = std::ldexp(1.0f, -exponent);  // a power of two: products are exact
  for (size_t i = 0; i < weights.size(); ++i) stored[i] = E2m3(weights[i] * inverse);
  return static_cast<uint16_t>(exponent + 127);
}

/// The stored numbers of one group of 32 columns.
using StoredGroup = std::array<std::array<uint8_t, kQuantBlock>, kPanelColumns>;

/// Four k of a column, as they lie in memory.
uint32_t QuadOf(const StoredGroup& stored, int64_t column, int64_t k) {
  uint32_t quad;
  std::memcpy(&quad, stored[static_cast<size_t>(column)].data() + k, sizeof(quad));
  return quad;
}

/// Puts `depth` k of a group into a panel's numbers from its first k on.
void PlaceGroup(WeightFormat format, const StoredGroup& stored, int64_t depth, std::byte* numbers) {
  constexpr uint32_t kLow = 0x0f0f0f0fu;  // of each byte: what a nibble holds
  const auto put = [](std::byte* to, uint32_t quad) { std::memcpy(to, &quad, sizeof(quad)); };
  for (int64_t k = 0; k < depth; k += 8) {
    for (int64_t c = 0; c < 16; ++c) {
      const uint32_t quads[4] = {QuadOf(stored, c, k), QuadOf(stored, c + 16, k),
                                 QuadOf(stored, c, k + 4), QuadOf(stored, c + 16, k + 4)};
      if (format == WeightFormat::kInt8) {
        for (int64_t i = 0; i < 4; ++i) put(numbers + k * 32 + i * 64 + c * 4, quads[i]);
        continue;
      }
      std::byte* to = numbers + k / 8 * (format == WeightFormat::kInt4 ? 128 : 192) + c * 4;
      put(to, (quads[0] & kLow) | (quads[1] & kLow) << 4);
      put(to + 64, (quads[2] & kLow) | (quads[3] & kLow) << 4);
      if (format == WeightFormat::kInt4) continue;
      uint32_t upper = 0;
      for (int i = 0; i < 4; ++i) upper |= (quads[i] >> 4 & 0x03030303u) << (2 * i);
      put(to + 128, upper);
    }
  }
}

}  // namespace

uint16_t QuantiseGroup(WeightFormat format, std::span<const float> weights,
                       std::span<uint8_t> stored) {
  if (format == WeightFormat::kMxfp6) return QuantiseMxfp6(weights, stored);
  const float largest = Largest(weights);
  const bool is_int8 = format == WeightFormat::kInt8;
  const int32_t zero_point = is_int8 ? kInt8Layout.zero_point : kInt4Layout.zero_point;
  uint16_t scale = largest == largest ? 0 : kBf16Nan;
  if (std::abs(largest) > 0) scale = F32ToBf16(is_int8 ? std::abs(largest) / 127 : largest / -8);
  if (std::abs(Bf16ToF32(scale)) > 0) {
    StoreIntegers(weights, Bf16ToF32(scale), zero_point, is_int8 ? -127.0f : -8.0f,
                  is_int8 ? 127.0f : 7.0f, stored);
  } else {
    std::fill(stored.begin(), stored.end(), static_cast<uint8_t>(zero_point));
  }
  return scale;
}

void LayOutQuantPanel(const float* rows, int64_t depth, WeightFormat format, std::byte* out) {
  const QuantLayout* layout = QuantLayoutOf(format);
  QEFF_CHECK(layout != nullptr, "weights of {} have no scales", WeightFormatName(format));
  std::byte* numbers = out + layout->scales_bytes(depth);
  StoredGroup stored;
  std::array<float, kQuantBlock> weights;
  for (int64_t first = 0; first < depth; first += layout->group) {
    const int64_t filled = std::min(QuantDepth(depth) - first, layout->group);
    const int64_t there = std::min(depth - first, layout->group);
    for (int64_t column = 0; column < kPanelColumns; ++column) {
      const float* from = rows + column * depth + first;
      std::fill(std::copy(from, from + there, weights.begin()), weights.end(), 0.0f);
      const auto size = static_cast<size_t>(filled);
      const uint16_t scale =
          QuantiseGroup(format, std::span(weights).first(size),
                        std::span(stored[static_cast<size_t>(column)]).first(size));
      std::memcpy(out + (first / layout->group * kPanelColumns + column) * layout->scale_bytes,
                  &scale, static_cast<size_t>(layout->scale_bytes));  // little-endian
    }
    PlaceGroup(format, stored, filled, numbers + first / 4 * layout->quad_bytes);
  }
}

}  // namespace qeff::cpu
