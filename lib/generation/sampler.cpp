// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/generation/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/generation/random.h"

namespace qeff {
namespace {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

/// Returns e^x for x <= 0 to within about one unit in the last place. Ours because the C library's
/// may differ between machines by a rounding, and one rounding can change a drawn token; built
/// without fused multiply-add for the same reason.
double ExpOfNonPositive(double x) {
  constexpr double kLog2E = 0x1.71547652b82fep+0;
  constexpr double kLn2High =
      0x1.62e42feep-1;  // 32 bits, so that its products with small integers are exact
  constexpr double kLn2Low = 0x1.a39ef35793c76p-33;
  if (x < -740.0) return 0.0;  // below the smallest denormal, or -infinity
  const double exponent = std::floor(x * kLog2E + 0.5);
  const double rest = (x - exponent * kLn2High) - exponent * kLn2Low;
  double sum = 1.0;  // Taylor series in Horner form; |rest| <= 0.347, so 14 terms reach 2^-60
  for (int n = 14; n >= 1; --n) sum = 1.0 + rest / n * sum;
  return std::ldexp(sum, static_cast<int>(exponent));
}

/// Returns the index of the largest value, the first of equals. Errors as Sampler::Next.
Result<int64_t> FirstMaximum(std::span<const float> values) {
  int64_t best = -1;
  float best_value = kMinusInfinity;
  bool has_nan = false;
  for (size_t i = 0; i < values.size(); ++i) {
    has_nan |= std::isnan(values[i]);
    if (values[i] > best_value) {
      best_value = values[i];
      best = static_cast<int64_t>(i);
    }
  }
  if (has_nan) {
    return InvalidInput(Location::Tensor("", "logits"), "the row that chooses the token holds NaN",
                        {"a 16-bit format may have overflowed: compile with float32, or check "
                         "the checkpoint's weights"});
  }
  if (best < 0) {
    return InvalidInput(Location::Tensor("", "logits"),
                        "no value of the row that chooses the token is above -infinity");
  }
  return best;
}

}  // namespace

void Sampler::Remember(int64_t id) {
  if (options_.repetition_penalty != 1.0) seen_.insert(id);
}

Result<int64_t> Sampler::Next(std::span<const float> logits) {
  int64_t id = 0;
  if (!options_.sample && seen_.empty()) {
    QEFF_ASSIGN_OR_RETURN(id, FirstMaximum(logits));
  } else {
    QEFF_ASSIGN_OR_RETURN(const std::span<const float> scores, Scores(logits));
    if (options_.sample) {
      id = Draw();
    } else {
      QEFF_ASSIGN_OR_RETURN(id, FirstMaximum(scores));
    }
  }
  Remember(id);
  ++step_;
  return id;
}

Result<std::span<const float>> Sampler::Scores(std::span<const float> logits) {
  QEFF_RETURN_IF_ERROR(FirstMaximum(logits).status());
  scores_.assign(logits.begin(), logits.end());
  Penalize();
  if (!options_.sample) return std::span<const float>(scores_);
  const auto temperature = static_cast<float>(options_.temperature);
  if (temperature != 1.0f) {
    for (float& score : scores_) score /= temperature;
  }
  QEFF_ASSIGN_OR_RETURN(const int64_t likeliest, FirstMaximum(scores_));
  if (std::isinf(scores_[likeliest])) {
    return InvalidInput(Location::Tensor("", "logits"),
                        "the row that chooses the token is infinite, or so when divided by the "
                        "temperature");
  }
  KeepTopK();
  if (options_.top_p < 1.0) KeepTopP();
  if (options_.min_p > 0.0) KeepMinP();
  return std::span<const float>(scores_);
}

void Sampler::Penalize() {
  const auto penalty = static_cast<float>(options_.repetition_penalty);
  for (const int64_t id : seen_) {
    if (id < 0 || id >= static_cast<int64_t>(scores_.size())) continue;  // ids without a logit
    float& score = scores_[id];
    score = score < 0.0f ? score * penalty : score / penalty;
  }
}

void Sampler::KeepTopK() {
  float threshold = kMinusInfinity;
  if (options_.top_k > 0 && options_.top_k < std::ssize(scores_)) {
    ordered_.resize(options_.top_k);
    std::partial_sort_copy(scores_.begin(), scores_.end(), ordered_.begin(), ordered_.end(),
                           std::greater<>());
    threshold = ordered_.back();
  }
  kept_.clear();
  for (size_t i = 0; i < scores_.size(); ++i) {
    if (scores_[i] < threshold) scores_[i] = kMinusInfinity;
    if (scores_[i] > kMinusInfinity) kept_.push_back(static_cast<int64_t>(i));
  }
}

void Sampler::KeepTopP() {
  // A heap instead of a sort: the kept tokens are usually few among a large vocabulary. Among equal
  // scores transformers' stable ascending sort drops low ids first, so high ids are taken first
  // here.
  const float largest = LargestKept();
  double total = 0.0;
  for (const int64_t id : kept_) total += ExpOfNonPositive(double{scores_[id]} - largest);
  const auto less_likely = [this](int64_t a, int64_t b) {
    return scores_[a] != scores_[b] ? scores_[a] < scores_[b] : a < b;
  };
  std::make_heap(kept_.begin(), kept_.end(), less_likely);
  const double wanted = options_.top_p * total;
  double taken = 0.0;
  auto rest = kept_.end();
  do {  // the likeliest is always kept
    std::pop_heap(kept_.begin(), rest, less_likely);
    --rest;
    taken += ExpOfNonPositive(double{scores_[*rest]} - largest);
  } while (rest != kept_.begin() && taken < wanted);
  for (auto dropped = kept_.begin(); dropped != rest; ++dropped) scores_[*dropped] = kMinusInfinity;
  kept_.erase(kept_.begin(), rest);
  std::ranges::sort(kept_);
}

void Sampler::KeepMinP() {
  const float largest = LargestKept();
  std::erase_if(kept_, [&](int64_t id) {
    if (ExpOfNonPositive(double{scores_[id]} - largest) >= options_.min_p) return false;
    scores_[id] = kMinusInfinity;
    return true;
  });
}

float Sampler::LargestKept() const {
  float largest = kMinusInfinity;
  for (const int64_t id : kept_) largest = std::max(largest, scores_[id]);
  return largest;
}

int64_t Sampler::Draw() {
  const float largest = LargestKept();
  double total = 0.0;
  sums_.clear();
  for (const int64_t id : kept_) {
    total += ExpOfNonPositive(double{scores_[id]} - largest);
    sums_.push_back(total);
  }
  const double target = UniformDraw(options_.seed, stream_, step_) * total;
  // Below `total`, so a sum above it exists; tokens whose weight rounds to nothing add none and are
  // passed over.
  return kept_[std::ranges::upper_bound(sums_, target) - sums_.begin()];
}

}  // namespace qeff
