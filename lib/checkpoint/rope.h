// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Rotary position embeddings: what config.json says about them (both spellings of transformers),
// and the inverse frequencies and the attention scaling that follow, computed in float32 in the
// order in which transformers' ROPE_INIT_FUNCTIONS do. Families call this; the tables of sines and
// cosines are made from it elsewhere (lib/ir's recipe).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/checkpoint/model_config.h"
#include "lib/support/status.h"

namespace qeff::checkpoint {

enum class RopeType { kDefault, kLinear, kDynamic, kYarn, kLlama3, kLongrope, kProportional };

/// Returns the name in config files: "default", "linear", ...
std::string_view RopeTypeName(RopeType type);

/// What a config says, checked key by key; fields that the type does not use keep their defaults.
struct RopeConfig {
  RopeType type = RopeType::kDefault;
  double theta = 10000;  ///< base of the frequencies; > 0
  /// Part of the head that is rotated; in (0, 1]. proportional: the part of its pairs that turn;
  /// the others stand still, and the exponents are those of the whole head.
  double partial_rotary_factor = 1;
  /// linear, dynamic, llama3, proportional: always set. yarn, longrope: without it the ratio of the
  /// two lengths.
  std::optional<double> factor;
  std::optional<int64_t> original_max_position_embeddings;  ///< without: max_position_embeddings
  std::optional<double> attention_factor;                   ///< yarn, longrope
  double beta_fast = 32;                                    ///< yarn
  double beta_slow = 1;                                     ///< yarn
  double mscale = 0;                                        ///< yarn; 0 = not given
  double mscale_all_dim = 0;                                ///< yarn; 0 = not given
  bool ramp_is_truncated = true;                            ///< yarn, "truncate"
  double low_freq_factor = 0;                               ///< llama3
  double high_freq_factor = 0;                              ///< llama3
  std::vector<double> short_factor;                         ///< longrope
  std::vector<double> long_factor;                          ///< longrope
  std::string file;                                         ///< config file, for messages
  std::string key;  ///< where the values come from, e.g. "rope_scaling"
};

/// How a family spells its rope keys.
struct RopeOptions {
  RopeType default_type = RopeType::kDefault;  ///< of a config without any rope object
  double default_theta = 10000;
  double default_partial_rotary_factor = 1;
  /// Name of the entry to take from rope_parameters that has one object per layer type, e.g.
  /// "sliding_attention"; an object without objects is taken whatever this says.
  std::string layer_type = {};
  /// Top-level key of the base, used where the rope object gives none.
  std::string theta_key = "rope_theta";
  /// False for layers that "rope_scaling" of a transformers 4 config does not concern (gemma3's
  /// sliding layers); per-layer-type objects are read all the same.
  bool uses_rope_scaling = true;
};

/// Reads transformers 4's `rope_theta` and `rope_scaling` (with `rope_type` or the older `type`;
/// null) and 5's `rope_parameters`. A `rope_scaling` that is not empty wins over `rope_parameters`;
/// a base inside the object wins over one beside it; `partial_rotary_factor` and
/// `original_max_position_embeddings` beside the object win over those inside, GPT-NeoX's
/// `rotary_pct` does not. "su" is longrope's old name. Errors: kUnsupported for an unknown type;
/// kInvalidInput for a missing key, a wrong type, a value that is not positive.
Result<RopeConfig> ReadRope(const ConfigReader& config, const RopeOptions& options = {});

/// Frequencies of the pairs, [rotary_dim / 2]; position p turns pair i by p *
/// inverse_frequencies[i].
struct RopeTable {
  int64_t rotary_dim = 0;  ///< leading elements of the head that are rotated
  /// For sequences of up to `original_max_position_embeddings` tokens (longrope) or
  /// `max_position_embeddings` tokens (dynamic); for all lengths with the other types.
  std::vector<float> inverse_frequencies;
  /// longrope: for longer sequences, then for all positions. Empty with the other types.
  std::vector<float> long_inverse_frequencies;
  int64_t long_from_tokens =
      0;  ///< sequences with more tokens take the long list; 0 if there is none
  float attention_scaling = 1;  ///< factor of all sines and cosines
};

/// Returns the table for a head of `head_dim` elements. Errors: kInvalidInput for an odd number of
/// rotated elements, a list of the wrong length, lengths without a meaning for the type.
Result<RopeTable> ComputeRope(const RopeConfig& config, int64_t head_dim,
                              int64_t max_position_embeddings);

/// Returns the frequencies that a sequence of `sequence_tokens` uses: dynamic grows the base with
/// the length, longrope changes its list, the other types do not depend on it. Errors: as
/// ComputeRope.
Result<std::vector<float>> RopeFrequenciesAt(const RopeConfig& config, int64_t head_dim,
                                             int64_t max_position_embeddings,
                                             int64_t sequence_tokens);

}  // namespace qeff::checkpoint
