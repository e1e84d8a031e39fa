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

/// So many vectors go through a long formula side by side: a scheduler of a hundred instructions
/// finds enough of them that do not wait for each other.
constexpr int kSideBySide = 4;

/// x * (1 + erf(x / sqrt 2)) / 2 = x * (1/2 + x g(x^2)), g of degree 14 in t = 2 x^2 / 5.2^2 - 1,
/// fitted on |x| <= 5.2 for the least error of the result over max(1, |x|): 1.4e-7 with the
/// rounding of f32 (8e5 values in [-8, 8] against erf in double). From 5.2 on, 1/2 + x g is cut at
/// 0 and 1.
template <int kCount>
QEFF_INLINE void GeluErf(Vec (&x)[kCount]) {
  constexpr float kFactors[] = {0.000195088549f, -0.00055549125f, 0.000621320622f, -0.000997330411f,
                                0.00264026644f,  -0.00504758582f, 0.00802156702f,  -0.0123632029f,
                                0.0181310065f,   -0.0247611087f,  0.0319626555f,   -0.0399256311f,
                                0.0500260964f,   -0.0677438006f,  0.135949984f};
  Vec t[kCount];
  Vec g[kCount];
#pragma GCC unroll 4
  for (int i = 0; i < kCount; ++i) {
    t[i] = Min(x[i] * x[i] * 0.0739644989f - 1.0f, Broadcast(1.0f));
    g[i] = Broadcast(kFactors[0]);
  }
#pragma GCC unroll 14
  for (int k = 1; k < 15; ++k) {
#pragma GCC unroll 4
    for (int i = 0; i < kCount; ++i) g[i] = g[i] * t[i] + kFactors[k];
  }
#pragma GCC unroll 4
  for (int i = 0; i < kCount; ++i) {
    x[i] *= Min(Max(0.5f + x[i] * g[i], Broadcast(0.0f)), Broadcast(1.0f));
  }
}

/// Runs GeluErf over several vectors at a time, the rest one by one.
inline void RunGelu(const ActivateArgs& args) {
  constexpr int64_t kRun = kSideBySide * kLanes;
  const int64_t whole = args.count - args.count % kRun;
  for (int64_t i = 0; i < whole; i += kRun) {
    Vec x[kSideBySide];
#pragma GCC unroll 4
    for (int j = 0; j < kSideBySide; ++j) x[j] = Load(args.x + i + j * kLanes);
    GeluErf(x);
#pragma GCC unroll 4
    for (int j = 0; j < kSideBySide; ++j) Store(args.out + i + j * kLanes, x[j]);
  }
  ForEachVec({.x = args.x + whole, .out = args.out + whole, .count = args.count - whole},
             [](Vec value) {
               Vec x[1] = {value};
               GeluErf(x);
               return x[0];
             });
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
      return RunGelu(args);
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
