// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// One prompt while it is continued: chooses its tokens, decides when it ends, makes its text. Knows
// nothing of batches; the loops in generate.cpp decide when it runs.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "lib/generation/generate.h"
#include "lib/generation/sampler.h"
#include "lib/generation/stop_strings.h"
#include "lib/support/status.h"
#include "lib/tokenizer/tokenizer.h"

namespace qeff {

/// What all prompts of one call share; outlives its sequences.
struct SequenceContext {
  const GenerationOptions& options;
  const GenerationCallbacks& callbacks;
  const Tokenizer* tokenizer;  ///< may be null
  StopStrings stop_strings;    ///< copied for each sequence
  int64_t context_tokens;
};

class Sequence {
 public:
  /// `prompt` has 1 to `context_tokens` ids and outlives the sequence, as does `output`, which is
  /// filled.
  Sequence(const SequenceContext& context, size_t index, std::span<const int64_t> prompt,
           GenerationOutput& output);

  std::span<const int64_t> prompt() const { return prompt_; }
  bool finished() const { return finished_; }
  /// The newest token, to be fed next, and its position. Requires one Accept.
  std::span<const int64_t> last_id() const { return std::span(output_->ids).last(1); }
  int64_t last_position() const { return std::ssize(prompt_) + std::ssize(output_->ids) - 1; }

  /// Chooses the next token from the logits f32 [V] after the newest one. Errors: of the sampler,
  /// tokenizer and callbacks.
  Status Accept(std::span<const float> logits);

 private:
  std::optional<StopReason> LimitReached() const;
  Result<std::string> ShowableText(int64_t id);
  Status Finish(StopReason reason);
  Status Emit(std::optional<int64_t> id, std::string_view text);

  const SequenceContext* context_;
  size_t index_;
  std::span<const int64_t> prompt_;
  GenerationOutput* output_;
  Sampler sampler_;
  std::optional<IncrementalDecoder> decoder_;
  StopStrings stop_strings_;
  bool finished_ = false;
};

}  // namespace qeff
