// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Kernels over rows of channels: normalization, rotary embedding, activations.
#pragma once

#include <cmath>

#include "backends/cpu/kernels/kernels.h"
#include "backends/cpu/kernels/vector.h"

namespace qeff::cpu {
namespace {

/// One run of n channels.
inline void NormRun(const NormArgs& args, const float* x, float* out) {
  const int64_t n = args.group_size;
  const int64_t whole = n - n % kLanes;
  float mean = 0;
  if (args.subtract_mean != 0) {
    Vec sum{};
    for (int64_t i = 0; i < whole; i += kLanes) sum += Load(x + i);
    float total = SumLanes(sum);
    for (int64_t i = whole; i < n; ++i) total += x[i];
    mean = total / static_cast<float>(n);
  }
  Vec squares{};
  for (int64_t i = 0; i < whole; i += kLanes) {
    const Vec d = Load(x + i) - mean;
    squares += d * d;
  }
  float total = SumLanes(squares);
  for (int64_t i = whole; i < n; ++i) total += (x[i] - mean) * (x[i] - mean);
  const float factor = 1.0f / std::sqrt(total / static_cast<float>(n) + args.epsilon);
  for (int64_t i = 0; i < whole; i += kLanes) {
    Vec value = (Load(x + i) - mean) * factor;
    if (args.gamma != nullptr) value *= Load(args.gamma + i);
    if (args.beta != nullptr) value += Load(args.beta + i);
    Store(out + i, value);
  }
  for (int64_t i = whole; i < n; ++i) {
    float value = (x[i] - mean) * factor;
    if (args.gamma != nullptr) value *= args.gamma[i];
    if (args.beta != nullptr) value += args.beta[i];
    out[i] = value;
  }
}

inline void RunNorm(const NormArgs& args) {
  for (int64_t row = 0; row < args.rows; ++row) {
    for (int64_t group = 0; group < args.groups; ++group) {
      const int64_t offset = group * args.group_size;
      NormRun(args, args.x + row * args.x_stride + offset,
              args.out + row * args.out_stride + offset);
    }
  }
}

/// One head, pairs (i, i + half).
inline void RotateHalves(const float* x, float* out, const float* cos, const float* sin,
                         int64_t half) {
  int64_t i = 0;
  for (; i + kLanes <= half; i += kLanes) {
    const Vec a = Load(x + i);
    const Vec b = Load(x + half + i);
    Store(out + i, a * Load(cos + i) - b * Load(sin + i));
    Store(out + half + i, b * Load(cos + half + i) + a * Load(sin + half + i));
  }
  for (; i < half; ++i) {
    const float a = x[i];
    const float b = x[half + i];
    out[i] = a * cos[i] - b * sin[i];
    out[half + i] = b * cos[half + i] + a * sin[half + i];
  }
}

/// One head, pairs (2i, 2i + 1).
inline void RotatePairs(const float* x, float* out, const float* cos, const float* sin,
                        int64_t half) {
  for (int64_t i = 0; i < half; ++i) {
    const float a = x[2 * i];
    const float b = x[2 * i + 1];
    out[2 * i] = a * cos[i] - b * sin[i];
    out[2 * i + 1] = b * cos[i] + a * sin[i];
  }
}

inline void RunRope(const RopeArgs& args) {
  for (int64_t row = 0; row < args.rows; ++row) {
    const float* cos = args.cos + row * args.table_stride;
    const float* sin = args.sin + row * args.table_stride;
    for (int64_t head = 0; head < args.heads; ++head) {
      const float* x = args.x + row * args.x_stride + head * args.head_size;
      float* out = args.out + row * args.out_stride + head * args.head_size;
      if (args.interleaved != 0) {
        RotatePairs(x, out, cos, sin, args.rotary / 2);
      } else {
        RotateHalves(x, out, cos, sin, args.rotary / 2);
      }
      for (int64_t i = args.rotary; i < args.head_size && x != out; ++i) out[i] = x[i];
    }
  }
}

QEFF_INLINE Vec SigmoidVec(Vec x) { return 1.0f / (1.0f + Exp(-x)); }
/// tanh(u) = 2 sigmoid(2 u) - 1: absolute error near 1e-7, which is what the products below need.
QEFF_INLINE Vec TanhVec(Vec u) { return 2.0f * SigmoidVec(2.0f * u) - 1.0f; }

/// Runs `f` over whole vectors, the rest through a padded copy.
template <typename Function>
QEFF_INLINE void ForEachVec(const ActivateArgs& args, const Function& f) {
  int64_t i = 0;
  for (; i + kLanes <= args.count; i += kLanes) Store(args.out + i, f(Load(args.x + i)));
  if (i < args.count) {
    float rest[kLanes] = {};
    for (int64_t j = i; j < args.count; ++j) rest[j - i] = args.x[j];
    Store(rest, f(Load(rest)));
    for (int64_t j = i; j < args.count; ++j) args.out[j] = rest[j - i];
  }
}

/// x * (1 + erf(x / sqrt 2)) / 2 by erfc(z) = (a1 t + ... + a5 t^5) e^(-z^2), t = 1 / (1 + p z), z
/// >= 0: Abramowitz and Stegun 7.1.26, absolute error of erfc below 2e-7.
QEFF_INLINE Vec GeluErf(Vec x) {
  const Vec z = (x < 0.0f ? -x : x) * 0.70710678f;
  const Vec t = 1.0f / (1.0f + 0.3275911f * z);
  Vec p = Broadcast(1.061405429f);
  p = p * t - 1.453152027f;
  p = p * t + 1.421413741f;
  p = p * t - 0.284496736f;
  p = p * t + 0.254829592f;
  const Vec tail = p * t * Exp(-(z * z));
  return 0.5f * x * (x < 0.0f ? tail : 2.0f - tail);
}

/// max(x, 0) that keeps NaN.
QEFF_INLINE Vec ReluVec(Vec x) { return x < 0.0f ? Vec{} : x; }

inline void RunActivate(const ActivateArgs& args) {
  switch (args.kind) {
    case Activation::kNone:
      return ForEachVec(args, [](Vec x) { return x; });
    case Activation::kSilu:
      return ForEachVec(args, [](Vec x) { return x / (1.0f + Exp(-x)); });
    case Activation::kGelu:
      return ForEachVec(args, [](Vec x) { return GeluErf(x); });
    case Activation::kGeluTanh:
      return ForEachVec(args, [](Vec x) {
        return 0.5f * x * (1.0f + TanhVec(0.79788456f * (x + 0.044715f * x * x * x)));
      });
    case Activation::kQuickGelu:
      return ForEachVec(args, [](Vec x) { return x * SigmoidVec(1.702f * x); });
    case Activation::kRelu:
      return ForEachVec(args, [](Vec x) { return ReluVec(x); });
    case Activation::kRelu2:
      return ForEachVec(args, [](Vec x) { return ReluVec(x) * ReluVec(x); });
    case Activation::kRelu6:
      return ForEachVec(args, [](Vec x) { return x > 6.0f ? Broadcast(6.0f) : ReluVec(x); });
    case Activation::kSigmoid:
      return ForEachVec(args, [](Vec x) { return SigmoidVec(x); });
    case Activation::kTanh:
      return ForEachVec(args, [](Vec x) { return TanhVec(x); });
  }
}

}  // namespace
}  // namespace qeff::cpu
