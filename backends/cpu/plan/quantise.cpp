// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/plan/quantise.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "backends/cpu/runtime/packed_formats.h"
#include "lib/support/float16.h"
#include "lib/support/status.h"

namespace qeff::cpu {
namespace {

constexpr uint16_t kBf16Nan = 0x7fc0;
constexpr uint16_t kE8m0Nan = 255;

/// The weight of largest magnitude; NaN if one is not finite.
float Largest(std::span<const float> weights) {
  float largest = 0;
  uint32_t magnitude = 0;
  for (const float weight : weights) {
    const uint32_t bits = std::bit_cast<uint32_t>(weight) & 0x7fffffffu;
    largest = bits > magnitude ? weight : largest;
    magnitude = std::max(bits, magnitude);
  }
  return magnitude >= 0x7f800000u ? std::numeric_limits<float>::quiet_NaN() : largest;
}

/// Numbers within [low, high] for a bf16 scale, stored above `zero_point`.
void StoreIntegers(std::span<const float> weights, uint16_t scale_bits, const QuantLayout& layout,
                   float low, float high, std::span<uint8_t> stored) {
  const float scale = Bf16ToF32(scale_bits);
  for (size_t i = 0; i < weights.size(); ++i) {
    const float ratio = scale == 0 || scale != scale ? 0.0f : weights[i] / scale;
    constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
    const float number = std::clamp(ratio, low, high) + kRound - kRound;
    stored[i] = static_cast<uint8_t>(static_cast<int>(number) + layout.zero_point);
  }
}

/// The E2M3 code of `value`.
uint8_t E2m3(float value) {
  const uint32_t sign = std::bit_cast<uint32_t>(value) >> 31;
  const float magnitude = std::min(std::abs(value), 7.5f);
  constexpr float kRound = 12582912.0f;
  uint32_t code = 31;
  if (magnitude < 2) {
    code = static_cast<uint32_t>(magnitude * 8 + kRound - kRound);  // 16 is the code of 2
  } else if (magnitude < 4) {
    code = 8 + static_cast<uint32_t>(magnitude * 4 + kRound - kRound);
  } else {
    code = std::min<uint32_t>(31, 16 + static_cast<uint32_t>(magnitude * 2 + kRound - kRound));
  }
  return static_cast<uint8_t>(sign << 5 | code);
}

uint16_t QuantiseMxfp6(std::span<const float> weights, std::span<uint8_t> stored) {
  const float largest = Largest(weights);
  std::fill(stored.begin(), stored.end(), uint8_t{0});
  if (largest != largest) return kE8m0Nan;
  if (largest == 0) {
    for (size_t i = 0; i < weights.size(); ++i) stored[i] = E2m3(weights[i]);  // signed zeros
    return 0;
  }
  const int exponent = std::clamp(std::ilogb(largest) - 2, -127, 127);
  for (size_t i = 0; i < weights.size(); ++i) {
    stored[i] = E2m3(std::ldexp(weights[i], -exponent));
  }
  return static_cast<uint16_t>(exponent + 127);
}

/// Puts the stored number of weight k of a column into a panel's numbers.
void Place(WeightFormat format, uint8_t stored, int64_t k, int64_t column, uint8_t* numbers) {
  const int64_t lane = column % 16 * 4 + k % 4;
  const int64_t half = column / 16;
  if (format == WeightFormat::kInt8) {
    numbers[k / 4 * 128 + half * 64 + lane] = stored;
  } else if (format == WeightFormat::kInt4) {
    numbers[k / 4 * 64 + lane] |= static_cast<uint8_t>(stored << (4 * half));
  } else {
    uint8_t* pair = numbers + k / 8 * 192;
    const int64_t quad = k / 4 % 2;
    pair[quad * 64 + lane] |= static_cast<uint8_t>((stored & 0x0f) << (4 * half));
    pair[128 + lane] |= static_cast<uint8_t>((stored >> 4) << (2 * (2 * quad + half)));
  }
}

}  // namespace

uint16_t QuantiseGroup(WeightFormat format, std::span<const float> weights,
                       std::span<uint8_t> stored) {
  if (format == WeightFormat::kMxfp6) return QuantiseMxfp6(weights, stored);
  const float largest = Largest(weights);
  const bool is_int8 = format == WeightFormat::kInt8;
  const QuantLayout& layout = is_int8 ? kInt8Layout : kInt4Layout;
  uint16_t scale = largest == largest ? 0 : kBf16Nan;
  if (std::abs(largest) > 0) scale = F32ToBf16(is_int8 ? std::abs(largest) / 127 : largest / -8);
  StoreIntegers(weights, scale, layout, is_int8 ? -127.0f : -8.0f, is_int8 ? 127.0f : 7.0f, stored);
  return scale;
}

void LayOutQuantPanel(const float* rows, int64_t depth, WeightFormat format, std::byte* out) {
  const QuantLayout* layout = QuantLayoutOf(format);
  QEFF_CHECK(layout != nullptr, "weights of {} have no scales", WeightFormatName(format));
  auto* numbers = reinterpret_cast<uint8_t*>(out + layout->scales_bytes(depth));
  const auto group_size = static_cast<size_t>(layout->group);
  std::vector<float> weights(group_size);
  std::vector<uint8_t> stored(group_size);
  for (int64_t group = 0; group < layout->groups(depth); ++group) {
    const int64_t first = group * layout->group;
    const int64_t filled = std::min(QuantDepth(depth) - first, layout->group);
    for (int64_t column = 0; column < kPanelColumns; ++column) {
      std::fill(weights.begin(), weights.end(), 0.0f);
      const float* from = rows + column * depth + first;
      std::copy(from, from + std::min(depth - first, layout->group), weights.begin());
      const uint16_t scale = QuantiseGroup(format, weights, stored);
      std::memcpy(out + (group * kPanelColumns + column) * layout->scale_bytes, &scale,
                  static_cast<size_t>(layout->scale_bytes));  // little-endian, as every artifact
      for (int64_t i = 0; i < filled; ++i) Place(format, stored[i], first + i, column, numbers);
    }
  }
}

}  // namespace qeff::cpu
