// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Every kernel of kernels.def, for every instruction set of the machine, against plain loops in
// double. A kernel is found by its op's member of Kernels, so a new line of kernels.def is swept
// without being named here; an op without a sweep fails the last case.
#include <catch2/catch.hpp>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <set>

#include "backends/cpu/kernels/kernels.h"
#include "tests/unit/backends/cpu/attention_sweep.h"
#include "tests/unit/backends/cpu/linear_sweep.h"
#include "tests/unit/backends/cpu/quant_sweep.h"
#include "tests/unit/backends/cpu/sweep_numbers.h"

namespace qeff::cpu {
namespace {

void SweepNorm(void (*kernel)(const NormArgs&)) {
  for (const int64_t size : {1, 2, 3, 15, 16, 17, 31, 32, 33, 100}) {
    for (const int32_t subtract_mean : {0, 1}) {
      for (const bool in_place : {false, true}) {
        const int64_t rows = 3;
        const int64_t groups = 2;
        const int64_t stride = groups * size + 1;
        Floats x = RandomFloats(rows * stride, 5);
        x[stride] = std::numeric_limits<float>::quiet_NaN();  // row 1, group 0
        const Floats original = x;
        const Floats gamma = RandomFloats(size, 6);
        const Floats beta = RandomFloats(size, 7);
        Floats other(x.size());
        float* out = in_place ? x.data() : other.data();
        kernel({x.data(), stride, out, stride, rows, groups, size, gamma.data(),
                subtract_mean ? beta.data() : nullptr, 1e-5f, subtract_mean});
        for (int64_t run = 0; run < rows * groups; ++run) {
          const int64_t begin = run / groups * stride + run % groups * size;
          double mean = 0;
          for (int64_t i = 0; i < size; ++i) mean += original[begin + i];
          mean = subtract_mean ? mean / static_cast<double>(size) : 0;
          double square = 0;
          for (int64_t i = 0; i < size; ++i) square += std::pow(original[begin + i] - mean, 2);
          const double factor = 1 / std::sqrt(square / static_cast<double>(size) + double{1e-5f});
          for (int64_t i = 0; i < size; ++i) {
            const double expected =
                (original[begin + i] - mean) * factor * gamma[i] + (subtract_mean ? beta[i] : 0.0f);
            RequireNear(out[begin + i], expected, 1e-6, subtract_mean && size == 1 ? 1e-4 : 4e-6,
                        "norm of " + std::to_string(size));
          }
        }
      }
    }
  }
}

void SweepRope(void (*kernel)(const RopeArgs&)) {
  for (const int64_t head_size : {2, 8, 18, 32, 64, 80}) {
    for (const int64_t rotary : {int64_t{0}, int64_t{2}, head_size / 4 * 2, head_size}) {
      for (const int32_t interleaved : {0, 1}) {
        for (const bool in_place : {false, true}) {
          const int64_t rows = 2;
          const int64_t heads = 3;
          const int64_t stride = heads * head_size + 2;
          Floats x = RandomFloats(rows * stride, 8);
          const Floats original = x;
          Floats cos = RandomFloats(rows * rotary, 9);
          Floats sin = RandomFloats(rows * rotary, 10);
          for (int64_t r = 0; r < rows; ++r) {  // tables hold the angles twice
            for (int64_t i = 0; i < rotary / 2; ++i) {
              cos[r * rotary + rotary / 2 + i] = cos[r * rotary + i];
              sin[r * rotary + rotary / 2 + i] = sin[r * rotary + i];
            }
          }
          Floats other(x.size());
          float* out = in_place ? x.data() : other.data();
          kernel({x.data(), stride, out, stride, cos.data(), sin.data(), rotary, rows, heads,
                  head_size, rotary, interleaved});
          for (int64_t r = 0; r < rows; ++r) {
            for (int64_t h = 0; h < heads; ++h) {
              const float* from = original.data() + r * stride + h * head_size;
              const float* to = out + r * stride + h * head_size;
              for (int64_t i = 0; i < rotary / 2; ++i) {
                const int64_t a = interleaved ? 2 * i : i;
                const int64_t b = interleaved ? 2 * i + 1 : i + rotary / 2;
                const double c = cos[r * rotary + i];
                const double s = sin[r * rotary + i];
                RequireNear(to[a], from[a] * c - from[b] * s, 1e-6, 1e-6, "rope");
                RequireNear(to[b], from[b] * c + from[a] * s, 1e-6, 1e-6, "rope");
              }
              for (int64_t i = rotary; i < head_size; ++i) REQUIRE(to[i] == from[i]);
            }
          }
        }
      }
    }
  }
}

double ExpectedActivation(Activation kind, double x) {
  switch (kind) {
    case Activation::kNone:
      return x;
    case Activation::kSilu:
      return Silu(x);
    case Activation::kGelu:
      return Gelu(x);
    case Activation::kGeluTanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case Activation::kQuickGelu:
      return x / (1 + std::exp(-1.702 * x));
    case Activation::kRelu:
      return std::isnan(x) ? x : std::max(x, 0.0);
    case Activation::kRelu2:
      return std::isnan(x) ? x : std::pow(std::max(x, 0.0), 2);
    case Activation::kRelu6:
      return std::isnan(x) ? x : std::min(std::max(x, 0.0), 6.0);
    case Activation::kSigmoid:
      return 1 / (1 + std::exp(-x));
    case Activation::kTanh:
      return std::tanh(x);
  }
  return 0;
}

void SweepActivate(void (*kernel)(const ActivateArgs&)) {
  for (int32_t number = 0; number < kActivationCount; ++number) {
    const auto kind = static_cast<Activation>(number);
    for (const int64_t count : {0, 1, 15, 16, 17, 1000}) {
      Floats x = RandomFloats(count, 11);
      for (int64_t i = 0; i < count; ++i) x[i] *= static_cast<float>(1 + i % 30);
      if (count == 1000) {
        x[0] = std::numeric_limits<float>::quiet_NaN();
        x[1] = 200;
        x[2] = -200;
        x[3] = 0;
        x[4] = -0.0f;
        x[5] = 1e-30f;
        int64_t i = 6;
        for (const float edge : {5.19f, 5.2f, 5.21f}) {  // of the formula of GELU
          x[i++] = edge;
          x[i++] = -edge;
        }
        if (kind == Activation::kGelu) {
          x[i++] = std::numeric_limits<float>::infinity();
          x[i++] = -std::numeric_limits<float>::infinity();  // 0 times it is no number
        }
      }
      const Floats original = x;
      kernel({kind, x.data(), x.data(), count});
      for (int64_t i = 0; i < count; ++i) {
        const double input = original[i];
        const double limit = 4e-7 * std::max(1.0, std::abs(input));
        RequireNear(x[i], ExpectedActivation(kind, input), 1e-6, limit,
                    "activation " + std::to_string(number) + " of " + std::to_string(input));
      }
    }
  }
}

struct PackedAttentionCase {
  int64_t rows;
  int64_t key_size;
  int64_t value_size;
  int64_t window = 0;
  float softcap = 0;
  bool has_bias = false;
  bool has_gaps = false;  ///< between the tokens of the rows
  bool is_causal = false;
  int64_t query_rows = 0;
  float equal_bias = 0;  ///< of all; not 0: so large that it alone is left of a score in f32
};

void CheckPackedAttention(void (*kernel)(const PackedAttentionArgs&), AttentionRounding rounding,
                          const PackedAttentionCase& c) {
  const bool rounds = rounding == AttentionRounding::kBf16;
  const float scale = rounds ? 0.25f : 0.4f;
  const auto rounded = [&](Floats x) { return rounds ? RoundedToBf16(std::move(x)) : x; };
  constexpr int64_t kBefore = 3;  // rows of another text
  constexpr int64_t kFirstToken = 1000;
  const int64_t rows = kBefore + c.rows;
  const int64_t stride = 2 * (c.key_size + c.value_size) + 1;
  const Floats q = rounded(RandomFloats(rows * stride, 31));
  const Floats k = rounded(RandomFloats(rows * stride, 32));
  Floats v = rounded(RandomFloats(rows * stride + kPanelColumns, 33));
  std::fill(v.end() - kPanelColumns, v.end(), std::numeric_limits<float>::quiet_NaN());
  std::vector<int64_t> tokens(static_cast<size_t>(rows), -1);
  for (int64_t i = 0; i < c.rows; ++i)
    tokens[kBefore + i] = kFirstToken + i + (c.has_gaps ? i / 3 : 0);
  const int64_t bias_stride = 2 * c.rows + 1;
  Floats bias = RandomFloats(bias_stride * bias_stride, 34);
  if (c.equal_bias != 0) std::fill(bias.begin(), bias.end(), c.equal_bias);
  Floats out(static_cast<size_t>(rows * stride), -77.0f);
  const auto scratch_floats =
      rounds ? Bf16PackedAttentionScratchFloats : PackedAttentionScratchFloats;
  Floats scratch(static_cast<size_t>(scratch_floats(c.rows, c.key_size, c.value_size)));
  kernel({.q = q.data(),
          .q_stride = stride,
          .k = k.data(),
          .k_stride = stride,
          .v = v.data(),
          .v_stride = stride,
          .tokens = tokens.data(),
          .first_token = kFirstToken,
          .bias = c.has_bias ? bias.data() : nullptr,
          .bias_stride = bias_stride,
          .out = out.data(),
          .out_stride = stride,
          .row_begin = kBefore,
          .row_end = rows,
          .key_size = c.key_size,
          .value_size = c.value_size,
          .scale = scale,
          .softcap = c.softcap,
          .window = c.window,
          .is_causal = c.is_causal,
          .query_rows = c.query_rows,
          .scratch = scratch.data()});
  for (int64_t n = 0; n < rows; ++n) {
    std::vector<double> weights(static_cast<size_t>(rows));
    double total = 0;
    for (int64_t m = kBefore + c.query_rows; m < rows && n >= kBefore; ++m) {
      const int64_t apart = c.is_causal ? n - m : std::abs(tokens[n] - tokens[m]);
      if (apart < 0 || (c.window > 0 && apart >= c.window)) continue;
      double score = 0;
      for (int64_t e = 0; e < c.key_size; ++e)
        score += double{scale} * q[n * stride + e] * k[m * stride + e];
      if (c.softcap > 0) score = c.softcap * std::tanh(score / c.softcap);
      if (c.equal_bias != 0) {
        score = 0;
      } else if (c.has_bias) {
        score += bias[(tokens[n] - kFirstToken) * bias_stride + tokens[m] - kFirstToken];
      }
      total += weights[m] = std::exp(score);
    }
    for (int64_t e = 0; e < stride; ++e) {
      double want = n >= kBefore && e < c.value_size ? 0 : -77;
      double magnitude = 0;
      for (int64_t m = kBefore; m < rows && want != -77; ++m) {
        const double term = weights[m] / total * v[m * stride + e];
        want += term;
        magnitude += std::abs(term);
      }
      const double limit = rounds ? magnitude / 256 + 2e-5 : 2e-5;  // half a unit of 8 bits
      RequireNear(out[n * stride + e], want, 1e-5, want == -77 ? 0 : limit, "packed attention");
    }
  }
}

/// Rows around tiles of 12 and panels of 32.
void SweepPackedAttention(void (*kernel)(const PackedAttentionArgs&), AttentionRounding rounding) {
  for (const int64_t rows : {1, 2, 11, 12, 13, 31, 32, 33, 64, 100}) {
    for (const int64_t size : {1, 24, 32, 33}) {
      CheckPackedAttention(kernel, rounding, {rows, size, 65 - size});
      CheckPackedAttention(kernel, rounding, {rows, size, size, 0, 2.5f, true});
      CheckPackedAttention(kernel, rounding, {rows, size, size, 1, 0, false, true});
      CheckPackedAttention(kernel, rounding, {rows, size, size, 20, 0, true, true});
      for (const int64_t window : {0, 1, 20}) {
        CheckPackedAttention(kernel, rounding, {rows, size, size, window, 0, false, true, true});
        if (rows > 1 && window != 1)
          CheckPackedAttention(kernel, rounding,
                               {rows, size, size, window, 0, true, true, false, 1});
      }
      CheckPackedAttention(kernel, rounding, {rows, size, size, 0, 2.5f, true, true, true});
      for (const float bias : {std::numeric_limits<float>::lowest(), -1e10f, 1e9f, 1e10f}) {
        CheckPackedAttention(kernel, rounding,
                             {rows, size, size, 20, 0, true, true, false, 0, bias});
      }
    }
  }
}

struct DeltaRuleCase {
  int64_t key_size;
  int64_t value_size;
  int64_t tokens;
  bool has_state;
  bool starts;
};

void CheckDeltaRule(void (*kernel)(const DeltaRuleArgs&), const DeltaRuleCase& c) {
  constexpr int64_t kPositions[] = {5, -1, 6, 7};
  const int64_t stride = c.value_size + c.key_size + 3;  // of all rows
  Floats q = RandomFloats(c.tokens * stride + 1, 21);
  Floats k = RandomFloats(c.tokens * stride + 1, 22);
  for (float& value : k) value *= 0.3f;
  Floats v = RandomFloats(c.tokens * stride + 1, 23);
  Floats gates = RandomFloats(2 * c.tokens + 1, 24);
  for (float& value : gates) value = -std::abs(value);
  if (c.tokens > 1) q[stride] = k[stride] = v[stride] = gates[2] = NAN;  // padding
  Floats state = RandomFloats(c.key_size * c.value_size, 25);
  if (c.starts) state[0] = NAN;
  std::vector<double> expected(state.begin(), state.end());
  if (c.starts || !c.has_state) std::fill(expected.begin(), expected.end(), 0);
  Floats out(static_cast<size_t>(c.tokens * stride), -77.0f);
  std::vector<float> scratch(static_cast<size_t>(DeltaRuleScratchFloats(c.key_size)));
  kernel({.q = q.data(),
          .q_stride = stride,
          .k = k.data(),
          .k_stride = stride,
          .v = v.data(),
          .v_stride = stride,
          .decay = gates.data(),
          .decay_stride = 2,
          .beta = gates.data() + 1,
          .beta_stride = 2,
          .positions = kPositions,
          .state = c.has_state ? state.data() : nullptr,
          .starts = c.starts ? 1 : 0,
          .out = out.data(),
          .out_stride = stride,
          .tokens = c.tokens,
          .key_size = c.key_size,
          .value_size = c.value_size,
          .scratch = scratch.data()});
  for (int64_t t = 0; t < c.tokens; ++t) {
    for (int64_t j = 0; j < stride; ++j) {
      double want = j < c.value_size ? 0 : -77;
      if (j < c.value_size && kPositions[t] >= 0) {
        double remembered = 0;
        for (int64_t i = 0; i < c.key_size; ++i) {
          double& element = expected[i * c.value_size + j];
          element *= std::exp(double{gates[2 * t]});
          remembered += element * k[t * stride + i];
        }
        const double update = gates[2 * t + 1] * (v[t * stride + j] - remembered);
        for (int64_t i = 0; i < c.key_size; ++i) {
          double& element = expected[i * c.value_size + j];
          element += k[t * stride + i] * update;
          want += element * q[t * stride + i];
        }
      }
      RequireNear(out[t * stride + j], want, 1e-5, 1e-4, "delta rule");
    }
  }
  if (!c.has_state || c.tokens == 0) return;
  for (size_t i = 0; i < state.size(); ++i)
    RequireNear(state[i], expected[i], 1e-5, 1e-4, "state of delta rule");
}

/// Sizes around a tile of columns; with, without and before a state; padding between tokens.
void SweepDeltaRule(void (*kernel)(const DeltaRuleArgs&)) {
  for (const int64_t key_size : {1, 3, 16}) {
    for (const int64_t value_size : {1, 15, 31, 32, 33, 64, 70}) {
      for (const int64_t tokens : {0, 1, 4}) {
        for (const bool has_state : {false, true}) {
          for (const bool starts : {false, true})
            CheckDeltaRule(kernel, {key_size, value_size, tokens, has_state, starts});
        }
      }
    }
  }
}

template <const QuantLayout& kLayout>
void PackQuantRowsOfAmx(const PackRowsArgs& args) {
  PackRowsArgs of_layout = args;
  of_layout.layout = kLayout;
  KernelsFor(Isa::amx).pack_rows_quant(of_layout);
}
int64_t LeastBf16QuantRows(const QuantLayout& layout) {
  int64_t rows = 1;
  while (!HasBf16QuantRows(layout, rows)) ++rows;
  return rows;
}

using Sweep = std::function<void(const Kernels&)>;

const std::map<std::string, Sweep>& Sweeps() {
  static const std::map<std::string, Sweep> sweeps = {
      {"linear_f32",
       [](const Kernels& k) { SweepLinear(k.linear_f32, WeightFormat::kF32, RowFormat::kF32, k); }},
      {"linear_f16",
       [](const Kernels& k) { SweepLinear(k.linear_f16, WeightFormat::kF16, RowFormat::kF32, k); }},
      {"linear_bf16",
       [](const Kernels& k) {
         SweepLinear(k.linear_bf16, WeightFormat::kBf16, RowFormat::kF32, k);
       }},
      {"linear_bf16_dot",
       [](const Kernels& k) {
         SweepLinear(k.linear_bf16_dot, WeightFormat::kBf16, RowFormat::kBf16, k);
         SweepQuantLinearOfBf16Rows(k);
       }},
      {"linear_int8",
       [](const Kernels& k) { SweepQuantLinear(k.linear_int8, WeightFormat::kInt8, k); }},
      {"linear_int4",
       [](const Kernels& k) { SweepQuantLinear(k.linear_int4, WeightFormat::kInt4, k); }},
      {"linear_mxfp6",
       [](const Kernels& k) { SweepQuantLinear(k.linear_mxfp6, WeightFormat::kMxfp6, k); }},
      {"pack_rows_quant",
       [](const Kernels& k) {
         SweepQuantPack(k);
         if (&k != &KernelsFor(Isa::amx)) return;
         SweepPackRows(PackQuantRowsOfAmx<kInt8Layout>, RowFormat::kBf16, k,
                       LeastBf16QuantRows(kInt8Layout));
         SweepPackRows(PackQuantRowsOfAmx<kInt4Layout>, RowFormat::kBf16, k,
                       LeastBf16QuantRows(kInt4Layout));
       }},
      {"pack_rows_f32",
       [](const Kernels& k) { SweepPackRows(k.pack_rows_f32, RowFormat::kF32, k); }},
      {"pack_rows_bf16",
       [](const Kernels& k) { SweepPackRows(k.pack_rows_bf16, RowFormat::kBf16, k); }},
      {"norm", [](const Kernels& k) { SweepNorm(k.norm); }},
      {"rope", [](const Kernels& k) { SweepRope(k.rope); }},
      {"packed_attention_f32",
       [](const Kernels& k) {
         SweepPackedAttention(k.packed_attention_f32, AttentionRounding::kNone);
       }},
      {"packed_attention_bf16",
       [](const Kernels& k) {
         SweepPackedAttention(k.packed_attention_bf16, AttentionRounding::kBf16);
       }},
      {"attention_f32",
       [](const Kernels& k) { SweepAttention(k.attention_f32, AttentionRounding::kNone); }},
      {"attention_bf16",
       [](const Kernels& k) { SweepAttention(k.attention_bf16, AttentionRounding::kBf16); }},
      {"cache_row", [](const Kernels& k) { SweepCacheRow(k.cache_row); }},
      {"activate", [](const Kernels& k) { SweepActivate(k.activate); }},
      {"delta_rule", [](const Kernels& k) { SweepDeltaRule(k.delta_rule); }},
  };
  return sweeps;
}

}  // namespace

TEST_CASE("every kernel computes what its plain loop in double computes") {
  for (const Isa isa : SupportedIsas()) {
    for (const auto& [op, sweep] : Sweeps()) {
      INFO(op << " for " << IsaName(isa));
      sweep(KernelsFor(isa));
    }
  }
}

TEST_CASE("every op of kernels.def has a sweep") {
  std::set<std::string> ops;
#define KERNEL(op, function, isa) ops.insert(#op);
#include "backends/cpu/kernels/kernels.def"
#undef KERNEL
  for (const std::string& op : ops) {
    INFO(op);
    CHECK(Sweeps().contains(op));
  }
}

}  // namespace qeff::cpu
