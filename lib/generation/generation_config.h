// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What a checkpoint says about generation: the ids that end text, padding, and its authors'
// sampling defaults, taken from generation_config.json, config.json and the tokenizer; and how they
// combine with what the user asks for. Read by qeff-run and the C++ API from any folder that
// carries these files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "lib/generation/sampler.h"
#include "lib/support/status.h"
#include "lib/tokenizer/tokenizer.h"

namespace qeff {

/// Sampling settings of which each may be absent.
struct SamplingSettings {
  std::optional<double> temperature;
  std::optional<int64_t> top_k;
  std::optional<double> top_p;
  std::optional<double> min_p;
  std::optional<double> repetition_penalty;
};

struct GenerationConfig {
  std::vector<int64_t>
      eos_ids;  ///< every id that any of the sources declares; ascending, no duplicates
  std::optional<int64_t> bos_id;
  std::optional<int64_t> pad_id;
  /// Ids from the vocabulary's size on that prompts may hold and no text continues with (those of
  /// images in Molmo).
  int64_t added_vocab_size = 0;
  std::optional<bool> do_sample;
  SamplingSettings sampling;  ///< of generation_config.json
};

/// Reads generation_config.json and config.json of `folder` (each may be missing) and asks
/// `tokenizer` (may be null). `eos_token_id` may be an id or a list; the keys of a `text_config`
/// count too; bos and pad come from the first source that has them; a pad of -1 means none. Errors:
/// kIo; kInvalidInput with file and key for a wrong type, an id that is negative or not below
/// config.json's `vocab_size`, a wrong `additional_vocab_size`, and sampling values out of range.
Result<GenerationConfig> LoadGenerationConfig(const std::filesystem::path& folder,
                                              const Tokenizer* tokenizer);

/// What the user set, and the seed.
struct SamplingRequest {
  SamplingSettings settings;
  uint64_t seed = 0;
};

struct ResolvedSampling {
  SamplingOptions options;
  /// One line for the user that names the values that were not asked for; empty if there is none.
  std::string note;
};

/// Combines the user's settings with the checkpoint's. A temperature of 0 is greedy. Sampling is on
/// if the user sets another temperature, top-k, top-p or min-p, else as the checkpoint's
/// `do_sample` says, else off. What neither sets has the default of transformers: top-k 50, the
/// others neutral. Errors: kUsage naming the flag whose value is out of range.
Result<ResolvedSampling> ResolveSampling(const GenerationConfig& config,
                                         const SamplingRequest& request);

}  // namespace qeff
