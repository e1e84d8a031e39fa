// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Each function follows one of transformers' ROPE_INIT_FUNCTIONS. What is a Python number there is
// a double here, what is a torch tensor is a float, and the operations come in the same order:
// results agree to the last bits (tests/data/checkpoint/rope_cases.json). torch divides a number by
// a tensor as the tensor's reciprocal times the number.
#include "lib/checkpoint/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace qeff::checkpoint {
namespace {

/// The inputs of all formulas, checked.
struct Problem {
  const RopeConfig& config;
  int64_t rotary_dim;
  int64_t max_positions;
  int64_t original_positions;
};

Status Bad(const RopeConfig& config, std::string message) {
  return InvalidInput(Location::File(config.file),
                      fmt::format("key '{}': {}", config.key, message));
}

Status CheckList(const Problem& problem, std::string_view name,
                 const std::vector<double>& factors) {
  const int64_t expected = problem.rotary_dim / 2;
  if (static_cast<int64_t>(factors.size()) == expected) return Status::Ok();
  return Bad(problem.config,
             fmt::format("'{}' needs {} numbers (one per rotated pair of the head), got {}", name,
                         expected, factors.size()));
}

Result<Problem> MakeProblem(const RopeConfig& config, int64_t head_dim,
                            int64_t max_position_embeddings) {
  const bool turns_whole_head = config.type == RopeType::kProportional;
  const auto rotary_dim =
      turns_whole_head
          ? head_dim
          : static_cast<int64_t>(static_cast<double>(head_dim) * config.partial_rotary_factor);
  if (rotary_dim < 2 || rotary_dim % 2 != 0) {
    return Bad(config,
               fmt::format("the rotated part of a head must have an even number of elements, "
                           "got {} (head size {}, rotated part {})",
                           rotary_dim, head_dim, config.partial_rotary_factor));
  }
  if (max_position_embeddings < 1) {
    return Bad(config, fmt::format("'max_position_embeddings' must be positive, got {}",
                                   max_position_embeddings));
  }
  Problem problem{.config = config,
                  .rotary_dim = rotary_dim,
                  .max_positions = max_position_embeddings,
                  .original_positions =
                      config.original_max_position_embeddings.value_or(max_position_embeddings)};
  if (config.type == RopeType::kDynamic && rotary_dim == 2) {
    return Bad(config, "rope type 'dynamic' needs more than 2 rotated elements");
  }
  if (config.type == RopeType::kLongrope) {
    QEFF_RETURN_IF_ERROR(CheckList(problem, "short_factor", config.short_factor));
    QEFF_RETURN_IF_ERROR(CheckList(problem, "long_factor", config.long_factor));
  }
  return problem;
}

/// base ^ (2i / rotary_dim) for each pair i.
std::vector<float> Powers(float base, int64_t rotary_dim) {
  std::vector<float> powers;
  for (int64_t i = 0; i < rotary_dim; i += 2) {
    const float exponent = static_cast<float>(i) / static_cast<float>(rotary_dim);
    powers.push_back(std::pow(base, exponent));
  }
  return powers;
}

std::vector<float> PlainFrequencies(float base, int64_t rotary_dim) {
  std::vector<float> frequencies = Powers(base, rotary_dim);
  for (float& value : frequencies) value = 1.0f / value;
  return frequencies;
}

std::vector<float> LinearFrequencies(const Problem& problem) {
  std::vector<float> frequencies =
      PlainFrequencies(static_cast<float>(problem.config.theta), problem.rotary_dim);
  for (float& value : frequencies) value /= static_cast<float>(*problem.config.factor);
  return frequencies;
}

/// The first pairs turn as those of the whole head do, the others not at all.
std::vector<float> ProportionalFrequencies(const Problem& problem) {
  std::vector<float> frequencies =
      PlainFrequencies(static_cast<float>(problem.config.theta), problem.rotary_dim);
  const auto turning = static_cast<size_t>(problem.config.partial_rotary_factor *
                                           static_cast<double>(problem.rotary_dim) / 2);
  for (size_t i = 0; i < frequencies.size(); ++i) {
    frequencies[i] = i < turning ? frequencies[i] / static_cast<float>(*problem.config.factor) : 0;
  }
  return frequencies;
}

std::vector<float> DynamicFrequencies(const Problem& problem, int64_t sequence_tokens) {
  // The length is a tensor in the running model, so the new base is computed in float32, too.
  const auto factor = static_cast<float>(*problem.config.factor);
  const auto positions = static_cast<float>(problem.max_positions);
  const auto length = static_cast<float>(std::max(sequence_tokens, problem.max_positions));
  const float growth = factor * length / positions - static_cast<float>(*problem.config.factor - 1);
  const auto dim = static_cast<double>(problem.rotary_dim);
  const float base = static_cast<float>(problem.config.theta) *
                     std::pow(growth, static_cast<float>(dim / (dim - 2)));
  return PlainFrequencies(base, problem.rotary_dim);
}

std::vector<float> Llama3Frequencies(const Problem& problem) {
  const RopeConfig& config = problem.config;
  std::vector<float> frequencies =
      PlainFrequencies(static_cast<float>(config.theta), problem.rotary_dim);
  const auto original = static_cast<double>(problem.original_positions);
  const auto low_wavelength = static_cast<float>(original / config.low_freq_factor);
  const auto high_wavelength = static_cast<float>(original / config.high_freq_factor);
  const auto factor = static_cast<float>(*config.factor);
  const auto low = static_cast<float>(config.low_freq_factor);
  const auto range = static_cast<float>(config.high_freq_factor - config.low_freq_factor);
  for (float& value : frequencies) {
    const float wavelength = 1.0f / value * static_cast<float>(2 * std::numbers::pi);
    if (wavelength > low_wavelength) {
      value = value / factor;
    } else if (range > 0 && !(wavelength < high_wavelength)) {
      const float smooth = (1.0f / wavelength * static_cast<float>(original) - low) / range;
      value = (1.0f - smooth) * value / factor + smooth * value;
    }
  }
  return frequencies;
}

double EffectiveFactor(const Problem& problem) {
  return problem.config.factor.value_or(static_cast<double>(problem.max_positions) /
                                        static_cast<double>(problem.original_positions));
}

std::vector<float> YarnFrequencies(const Problem& problem) {
  const RopeConfig& config = problem.config;
  const auto dim = static_cast<double>(problem.rotary_dim);
  const auto pair_of = [&](double rotations) {
    return dim *
           std::log(static_cast<double>(problem.original_positions) /
                    (rotations * 2 * std::numbers::pi)) /
           (2 * std::log(config.theta));
  };
  double low = pair_of(config.beta_fast);
  double high = pair_of(config.beta_slow);
  if (config.ramp_is_truncated) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, dim - 1);
  if (low == high) high += 0.001;  // as in the original: no division by zero
  const auto ramp_start = static_cast<float>(low);
  const auto ramp_length = static_cast<float>(high - low);
  const auto factor = static_cast<float>(EffectiveFactor(problem));
  std::vector<float> frequencies = Powers(static_cast<float>(config.theta), problem.rotary_dim);
  for (size_t i = 0; i < frequencies.size(); ++i) {
    const float extrapolated = 1.0f / frequencies[i];
    const float interpolated = 1.0f / (factor * frequencies[i]);
    const float ramp = std::clamp((static_cast<float>(i) - ramp_start) / ramp_length, 0.0f, 1.0f);
    const float keep = 1.0f - ramp;
    frequencies[i] = interpolated * (1.0f - keep) + extrapolated * keep;
  }
  return frequencies;
}

std::vector<float> LongropeFrequencies(const Problem& problem, const std::vector<double>& factors) {
  std::vector<float> frequencies =
      Powers(static_cast<float>(problem.config.theta), problem.rotary_dim);
  for (size_t i = 0; i < frequencies.size(); ++i) {
    frequencies[i] = 1.0f / (static_cast<float>(factors[i]) * frequencies[i]);
  }
  return frequencies;
}

double AttentionScaling(const Problem& problem) {
  const RopeConfig& config = problem.config;
  if (config.attention_factor) return *config.attention_factor;
  const double factor = EffectiveFactor(problem);
  if (config.type == RopeType::kYarn) {
    const auto scale_for = [&](double mscale) {
      return factor <= 1 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0;
    };
    if (config.mscale != 0 && config.mscale_all_dim != 0) {
      return scale_for(config.mscale) / scale_for(config.mscale_all_dim);
    }
    return scale_for(1);
  }
  if (config.type == RopeType::kLongrope && factor > 1) {
    return std::sqrt(1 +
                     std::log(factor) / std::log(static_cast<double>(problem.original_positions)));
  }
  return 1;
}

std::vector<float> FrequenciesAt(const Problem& problem, int64_t sequence_tokens) {
  switch (problem.config.type) {
    case RopeType::kDefault:
      break;
    case RopeType::kLinear:
      return LinearFrequencies(problem);
    case RopeType::kDynamic:
      // Within the trained length nothing grows, and no rounding of the formula may show.
      if (sequence_tokens <= problem.max_positions) break;
      return DynamicFrequencies(problem, sequence_tokens);
    case RopeType::kProportional:
      return ProportionalFrequencies(problem);
    case RopeType::kYarn:
      return YarnFrequencies(problem);
    case RopeType::kLlama3:
      return Llama3Frequencies(problem);
    case RopeType::kLongrope:
      return LongropeFrequencies(problem, sequence_tokens > problem.original_positions
                                              ? problem.config.long_factor
                                              : problem.config.short_factor);
  }
  return PlainFrequencies(static_cast<float>(problem.config.theta), problem.rotary_dim);
}

}  // namespace

Result<RopeTable> ComputeRope(const RopeConfig& config, int64_t head_dim,
                              int64_t max_position_embeddings) {
  QEFF_ASSIGN_OR_RETURN(const Problem problem,
                        MakeProblem(config, head_dim, max_position_embeddings));
  RopeTable table{.rotary_dim = problem.rotary_dim,
                  .inverse_frequencies = FrequenciesAt(problem, 1),
                  .attention_scaling = static_cast<float>(AttentionScaling(problem))};
  if (config.type == RopeType::kLongrope) {
    table.long_inverse_frequencies = FrequenciesAt(problem, problem.original_positions + 1);
    table.long_from_tokens = problem.original_positions;
  }
  if (!std::isfinite(table.attention_scaling)) {
    return Bad(config,
               fmt::format("the attention factor of 'original_max_position_embeddings' {} is "
                           "not a number",
                           problem.original_positions));
  }
  return table;
}

Result<std::vector<float>> RopeFrequenciesAt(const RopeConfig& config, int64_t head_dim,
                                             int64_t max_position_embeddings,
                                             int64_t sequence_tokens) {
  QEFF_ASSIGN_OR_RETURN(const Problem problem,
                        MakeProblem(config, head_dim, max_position_embeddings));
  return FrequenciesAt(problem, sequence_tokens);
}

}  // namespace qeff::checkpoint
