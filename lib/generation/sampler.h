// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// From one row of logits to one token, as transformers' generate() does it: repetition penalty;
// then, only when sampling, temperature, top-k, top-p, min-p, in this order, and a draw. One
// Sampler serves one prompt.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_set>
#include <vector>

#include "lib/support/status.h"

namespace qeff {

/// How tokens are chosen. The defaults are greedy and change nothing.
struct SamplingOptions {
  bool sample =
      false;  ///< false: the largest score wins, the first of equals; the next four are not used
  double temperature = 1.0;  ///< > 0; scores are divided by it
  int64_t top_k = 0;         ///< keep the k largest scores and those equal to the k-th; 0: all
  double top_p =
      1.0;  ///< in [0, 1]; keep the largest whose predecessors sum to less than this; 1: all
  double min_p = 0.0;  ///< in [0, 1]; drop tokens less likely than this times the likeliest
  double repetition_penalty =
      1.0;  ///< > 0; scores of earlier tokens, prompt included: s < 0 ? s * p : s / p
  uint64_t seed = 0;
};

class Sampler {
 public:
  /// `stream` tells prompts apart that share a seed: the prompt's index. Requires options in their
  /// ranges (ResolveSampling checks them).
  Sampler(const SamplingOptions& options, uint64_t stream) : options_(options), stream_(stream) {}

  /// Tells the repetition penalty of a token of the prompt; chosen tokens are remembered without
  /// it.
  void Remember(int64_t id);

  /// Chooses the next token, and remembers it. `logits` f32 [V]; -infinity is never drawn. Equal
  /// seeds, streams and logits give equal tokens on every machine. Errors: kInvalidInput if a logit
  /// is NaN, none is above -infinity, or, when sampling, one is +infinity.
  Result<int64_t> Next(std::span<const float> logits);

  /// Returns the scores [V] that Next would draw from; what a filter dropped is -infinity. Same
  /// errors. Valid until the next call.
  Result<std::span<const float>> Scores(std::span<const float> logits);

 private:
  void Penalize();
  void KeepTopK();
  void KeepTopP();
  void KeepMinP();
  float LargestKept() const;
  int64_t Draw();

  SamplingOptions options_;
  uint64_t stream_;
  uint64_t step_ = 0;
  std::unordered_set<int64_t> seen_;
  std::vector<float> scores_;
  std::vector<int64_t> kept_;   ///< ids that can be drawn, ascending
  std::vector<float> ordered_;  ///< scratch of KeepTopK
  std::vector<double> sums_;    ///< scratch of Draw: weight of kept_[0..i]
};

}  // namespace qeff
