// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Random and expected numbers of the kernel sweeps.
#pragma once

#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "lib/support/float16.h"

namespace qeff::cpu {

using Floats = std::vector<float>;

inline Floats RandomFloats(int64_t count, uint32_t seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  Floats values(static_cast<size_t>(count));
  for (float& value : values) value = normal(engine);
  return values;
}

inline Floats RoundedToBf16(Floats values) {
  for (float& value : values) value = Bf16ToF32(F32ToBf16(value));
  return values;
}

/// |got - expected| <= absolute + relative * |expected|; NaN must meet NaN.
inline void RequireNear(double got, double expected, double relative, double absolute,
                        const std::string& what) {
  if (std::isnan(expected)) {
    if (!std::isnan(got)) FAIL(what << ": expected NaN, got " << got);
    return;
  }
  const double limit = absolute + relative * std::abs(expected);
  if (!(std::abs(got - expected) <= limit) && got != expected) {
    FAIL(what << ": expected " << expected << ", got " << got << ", error "
              << std::abs(got - expected) << ", limit " << limit);
  }
}

inline double Silu(double x) { return x / (1 + std::exp(-x)); }
inline double Gelu(double x) { return x * 0.5 * (1 + std::erf(x / std::sqrt(2.0))); }

}  // namespace qeff::cpu
