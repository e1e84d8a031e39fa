// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Which specializations a text-generation graph is compiled for: the rules of QEfficient's
// compile() for causal language models, prefill and decode, batching, speculative verification and
// compute context lengths. Called by the compile stage.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "lib/artifact/compile_files.h"
#include "lib/support/status.h"

namespace qeff::artifact {

/// Lengths are in tokens and at least 1. Names follow the symbols and options of QEfficient.
struct TextSpecializationOptions {
  int64_t prefill_seq_len = 32;
  int64_t ctx_len = 128;
  int64_t batch_size = 1;
  std::optional<int64_t>
      full_batch_size;  ///< slots that decode together; needed by continuous batching
  std::optional<int64_t>
      kv_cache_batch_size;  ///< slots of the cache; default full_batch_size, else batch_size
  /// True: prefill alone; false: decode alone; nothing: both.
  std::optional<bool> prefill_only;

  // Properties of the graph.
  bool has_continuous_batching = false;
  bool keeps_speculative_logits = false;     ///< it has an input num_logits_to_keep
  bool has_compute_context_lengths = false;  ///< it has an input comp_ctx_lengths

  /// With keeps_speculative_logits: one decode entry for each count of guessed tokens.
  std::vector<int64_t> num_speculative_tokens;
  /// With has_compute_context_lengths; an empty list is generated.
  std::vector<int64_t> comp_ctx_lengths_prefill;
  std::vector<int64_t> comp_ctx_lengths_decode;
  /// Whether generated lists round ctx_len up to a multiple of 1024, as QEfficient does for a card.
  bool rounds_ctx_len = true;
  /// Symbol of graphs with a cache of window size.
  std::optional<int64_t> sliding_window;
};

/// Returns prefill entries, then decode entries. A prefill_seq_len of 1 makes decode entries
/// superfluous: then there is one entry, named "Prefill" unless prefill_only is false. Generated
/// compute context lengths round ctx_len up to a multiple of 1024 if asked to. Errors: kUsage with
/// the flag (a length below 1, prefill longer than the context, an option that the graph needs or
/// does not have).
Result<std::vector<Specialization>> BuildTextSpecializations(
    const TextSpecializationOptions& options);

}  // namespace qeff::artifact
